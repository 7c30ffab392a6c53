"""An int8 TFLite graph, written directly, as TensorFlow 2.21's converter writes it.

Tensor types, scale counts and the order of tensors are the converter's; a test holds the two side by side, because
the interpreter accepts wrong ones without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foxnas.errors import FoxnasError
from foxnas.int8.operators import CODES, options_of
from foxnas.int8.packing import Once, Tensor, pack
from foxnas.space.operators import Kind, Step

_Type = schema.TensorType


@dataclass(frozen=True, eq=False, slots=True)
class Scale:
    """Affine quantisation: real = scale * (q - zero_point), one number in all or one per channel of `axis`.

    `scale` is float32 (n,), `zero_point` int64 (n,). Tensors that are given the same object share one
    copy of it in the file.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0

    @classmethod
    def of(cls, scale: float, zero_point: int) -> Scale:
        """One scale for the whole tensor."""
        return cls(np.array([scale], np.float32), np.array([zero_point], np.int64))


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Constants of one step: int8 values in its `Step.weight` layout, int32 bias, and their scales."""

    values: np.ndarray
    scale: Scale
    bias: np.ndarray
    bias_scale: Scale


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """An operand that is no weight: int8 values with one scale."""

    values: np.ndarray
    scale: Scale


@dataclass(frozen=True, eq=False, slots=True)
class Numbers:
    """Everything of a graph that its shapes leave open.

    Parameters
    ----------
    values
        int8 scale of the network's input and of every step's output, in the order of `Step.inputs`.
    weights
        One a step that has weights, in order.
    sixth
        The number 1/6, if there is a gate.
    pixel_mean
        Mean that CENTRE subtracts from the pixels, (channels,), if there is one.
    """

    values: Sequence[Scale]
    weights: Sequence[Weights]
    sixth: Constant | None = None
    pixel_mean: Constant | None = None


def write_int8(steps: Sequence[Step], image_shape: tuple[int, ...], numbers: Numbers, whole: bool = True) -> bytes:
    """Return the .tflite file of a subnet: uint8 (1, H, W, C) in, uint8 (1, classes) out.

    A part of one (`whole` is False) is int8 at both ends, as inside.
    """
    graph = _Graph()
    image = graph.tensor("image", image_shape, _Type.UINT8, _unsigned(numbers.values[0])) if whole else None
    constants = _append_constants(graph, steps, numbers)
    values = [graph.tensor("quantised", image_shape, _Type.INT8, numbers.values[0])]
    if image is not None:
        graph.operator(None, (image,), values[0], options_of(None))
    for number, step in enumerate(steps):
        value = graph.tensor(f"value{number}", step.shape, _Type.INT8, numbers.values[number + 1])
        inputs = (*(values[i] for i in step.inputs), *constants[number])
        graph.operator(step.kind, inputs, value, options_of(step))
        values.append(value)
    if image is None:
        return pack(graph.model(values[0], values[-1]))
    logits = graph.tensor("logits", steps[-1].shape, _Type.UINT8, _unsigned(numbers.values[-1]))
    graph.operator(None, (values[-1],), logits, options_of(None))
    return pack(graph.model(image, logits))


def _append_constants(graph: _Graph, steps: Sequence[Step], numbers: Numbers) -> list[tuple[int, ...]]:
    """Append every constant, weights from the last step's to the first's; return each step's constant tensors."""
    found: list[tuple[int, ...]] = [()] * len(steps)
    # Axes and paddings first, shared, in the order of their first use.
    integers: dict[tuple[object, ...], int] = {}
    for number, step in enumerate(steps):
        if step.kind in (Kind.PAD, Kind.MEAN):
            if step.pads not in integers:
                values = np.array([(0, 0), *step.pads, (0, 0)] if step.pads else [1, 2], np.int32)
                name = "padding" if step.pads else "axes"
                integers[step.pads] = graph.tensor(f"{name}{number}", values.shape, _Type.INT32, None, values)
            found[number] = (integers[step.pads],)
    gates = [number for number, step in enumerate(steps) if step.kind is Kind.SIXTH]
    weights = list(numbers.weights)
    for number in reversed(range(len(steps))):
        step = steps[number]
        if step.kind is Kind.CENTRE:
            found[number] = (_append(graph, "pixel_mean", (step.shape[3],), numbers.pixel_mean),)
        elif gates and number == gates[0]:
            sixth = _append(graph, "sixth", (), numbers.sixth)
            for gate in gates:
                found[gate] = (sixth,)
        elif step.weight:
            given = weights.pop()
            channels = (len(given.bias),)
            bias = graph.tensor(f"bias{number}", channels, _Type.INT32, given.bias_scale, given.bias)
            filter = graph.tensor(f"weights{number}", step.weight, _Type.INT8, given.scale, given.values)
            found[number] = (filter, bias)
    return found


def _append(graph: _Graph, name: str, shape: tuple[int, ...], constant: Constant | None) -> int:
    if constant is None:
        raise FoxnasError(f"the graph needs the constant {name}, which was not given")
    return graph.tensor(name, shape, _Type.INT8, constant.scale, constant.values)


def _unsigned(scale: Scale) -> Scale:
    return Scale(scale.scale, scale.zero_point + 128)


def _quantisation(scale: Scale | None) -> Any:
    if scale is None:
        return schema.QuantizationParametersT()
    return schema.QuantizationParametersT(scale=scale.scale, zeroPoint=scale.zero_point, quantizedDimension=scale.axis)


class _Graph:
    """Tensors, buffers and operators of the one subgraph, in the order in which they were appended."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.codes: dict[tuple[int, int], int] = {}
        self.shared: dict[Hashable, Once] = {}

    def tensor(
        self, name: str, shape: tuple[int, ...], type: int, scale: Scale | None, data: np.ndarray | None = None
    ) -> int:
        self.buffers.append(schema.BufferT(data=data))
        quantisation = self._share(scale, lambda: _quantisation(scale).Pack)
        extent = self._share(shape, lambda: lambda builder: builder.CreateNumpyVector(np.array(shape, np.int32)))
        self.tensors.append(Tensor(name, extent, type, len(self.buffers) - 1, quantisation))
        return len(self.tensors) - 1

    def operator(
        self, kind: Kind | None, inputs: tuple[int, ...], output: int, options: tuple[int, Any | None]
    ) -> None:
        options_type, table = options
        code = self.codes.setdefault(CODES[kind], len(self.codes))
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=code,
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=options_type,
                builtinOptions=table and self._share(("options", id(table)), lambda: table.Pack),
            )
        )

    def model(self, image: int, logits: int) -> Any:
        subgraph = schema.SubGraphT(
            tensors=self.tensors,
            inputs=np.array([image], np.int32),
            outputs=np.array([logits], np.int32),
            operators=self.operators,
            name="main",
        )
        signature = schema.SignatureDefT(
            inputs=[schema.TensorMapT(name="image", tensorIndex=image)],
            outputs=[schema.TensorMapT(name="logits", tensorIndex=logits)],
            signatureKey="serving_default",
        )
        codes = [schema.OperatorCodeT(min(code, 127), None, version, code) for code, version in self.codes]
        return schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=self.buffers, signatureDefs=[signature]
        )

    def _share(self, key: Hashable, writer: Callable[[], Callable[[flatbuffers.Builder], int]]) -> Once:
        if key not in self.shared:
            self.shared[key] = Once(writer())
        return self.shared[key]
