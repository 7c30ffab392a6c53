"""An int8 TFLite graph, written directly: operators as TensorFlow 2.21's converter writes them.

Versions, options, tensor types, scale counts and the order of tensors are the converter's; a test
holds the two side by side, because the interpreter accepts wrong ones without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foxnas.errors import FoxnasError
from foxnas.tflite.topology import FusedActivation, Kind, Step

#: TFLite maps buffers into memory and wants their data on these boundaries.
_ALIGNMENT = 16

_Op, _Type = schema.BuiltinOperator, schema.TensorType

#: Builtin code and version of each operator.
_CODES: Mapping[Kind | None, tuple[int, int]] = {
    None: (_Op.QUANTIZE, 1),
    Kind.CENTRE: (_Op.SUB, 2),
    Kind.PAD: (_Op.PAD, 2),
    Kind.CONV: (_Op.CONV_2D, 3),
    Kind.DEPTHWISE: (_Op.DEPTHWISE_CONV_2D, 3),
    Kind.HARD_SWISH: (_Op.HARD_SWISH, 1),
    Kind.ADD: (_Op.ADD, 2),
    Kind.MEAN: (_Op.MEAN, 2),
    Kind.SIXTH: (_Op.MUL, 2),
    Kind.MUL: (_Op.MUL, 2),
    Kind.DENSE: (_Op.FULLY_CONNECTED, 4),
}


@dataclass(frozen=True, eq=False, slots=True)
class Scale:
    """Affine quantisation: real = scale * (q - zero_point), one number in all or one a channel of `axis`.

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
        What CENTRE takes from the pixels, (channels,), if there is one.
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
        graph.operator(None, (image,), values[0], _options(None))
    for number, step in enumerate(steps):
        value = graph.tensor(f"value{number}", step.shape, _Type.INT8, numbers.values[number + 1])
        inputs = (*(values[i] for i in step.inputs), *constants[number])
        graph.operator(step.kind, inputs, value, _options_of(step))
        values.append(value)
    if image is None:
        return pack(graph.model(values[0], values[-1]))
    logits = graph.tensor("logits", steps[-1].shape, _Type.UINT8, _unsigned(numbers.values[-1]))
    graph.operator(None, (values[-1],), logits, _options(None))
    return pack(graph.model(image, logits))


def pack(model: Any) -> bytes:
    """Serialise a `schema.ModelT` with its buffers on 16-byte boundaries, as the converter does.

    The object API alone would put an int32 bias on any odd byte.
    """
    empty = _Once(schema.BufferT().Pack)
    held = [buffer.data for buffer in model.buffers]
    model.buffers = [empty if data is None else _Aligned(data) for data in held]
    builder = flatbuffers.Builder(sum(64 + data.nbytes for data in held if data is not None) + 65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


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


def _options_of(step: Step) -> tuple[int, Any]:
    return _options(step.kind, step.stride, step.activation, step.valid, len(step.shape) == 4)


@cache
def _options(
    kind: Kind | None,
    stride: int = 1,
    activation: FusedActivation = "none",
    valid: bool = False,
    keep_dims: bool = True,
) -> tuple[int, Any]:
    """Option type and object of a builtin; QUANTIZE has none."""
    kinds = schema.BuiltinOptions
    if kind in (Kind.CONV, Kind.DEPTHWISE):
        convolution = {
            "strideH": stride,
            "strideW": stride,
            "fusedActivationFunction": getattr(schema.ActivationFunctionType, activation.upper()),
            "padding": schema.Padding.VALID if valid else schema.Padding.SAME,
        }
        if kind is Kind.CONV:
            return kinds.Conv2DOptions, schema.Conv2DOptionsT(**convolution)
        return kinds.DepthwiseConv2DOptions, schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **convolution)
    if kind is Kind.MEAN:
        return kinds.ReducerOptions, schema.ReducerOptionsT(keepDims=keep_dims)
    plain = {
        Kind.CENTRE: (kinds.SubOptions, schema.SubOptionsT),
        Kind.PAD: (kinds.PadOptions, schema.PadOptionsT),
        Kind.HARD_SWISH: (kinds.HardSwishOptions, schema.HardSwishOptionsT),
        Kind.ADD: (kinds.AddOptions, schema.AddOptionsT),
        Kind.SIXTH: (kinds.MulOptions, schema.MulOptionsT),
        Kind.MUL: (kinds.MulOptions, schema.MulOptionsT),
        Kind.DENSE: (kinds.FullyConnectedOptions, schema.FullyConnectedOptionsT),
    }
    if kind not in plain:
        return kinds.NONE, None
    code, table = plain[kind]
    return code, table()


class _Aligned:
    """A `schema.BufferT` whose data begin on a 16-byte boundary."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def Pack(self, builder: flatbuffers.Builder) -> int:
        content = self.data.tobytes()
        builder.StartVector(1, len(content), _ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class _Once:
    """Packs its object the first time and points to that copy afterwards."""

    def __init__(self, write: Callable[[flatbuffers.Builder], int]) -> None:
        self.write = write
        self.offset: int | None = None

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.offset is None:
            self.offset = self.write(builder)
        return self.offset


class _Tensor:
    """A `schema.TensorT` that writes only what an int8 graph uses; shape and scales may be shared."""

    def __init__(self, name: str, shape: _Once, type: int, buffer: int, quantisation: _Once) -> None:
        self.name, self.shape, self.type, self.buffer, self.quantisation = name, shape, type, buffer, quantisation

    def Pack(self, builder: flatbuffers.Builder) -> int:
        shape, quantisation = self.shape.Pack(builder), self.quantisation.Pack(builder)
        name = builder.CreateString(self.name)
        schema.TensorStart(builder)
        schema.TensorAddShape(builder, shape)
        schema.TensorAddType(builder, self.type)
        schema.TensorAddBuffer(builder, self.buffer)
        schema.TensorAddName(builder, name)
        schema.TensorAddQuantization(builder, quantisation)
        schema.TensorAddHasRank(builder, True)
        return schema.TensorEnd(builder)


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
        self.shared: dict[Hashable, _Once] = {}

    def tensor(
        self, name: str, shape: tuple[int, ...], type: int, scale: Scale | None, data: np.ndarray | None = None
    ) -> int:
        self.buffers.append(schema.BufferT(data=data))
        quantisation = self._share(scale, lambda: _quantisation(scale).Pack)
        extent = self._share(shape, lambda: lambda builder: builder.CreateNumpyVector(np.array(shape, np.int32)))
        self.tensors.append(_Tensor(name, extent, type, len(self.buffers) - 1, quantisation))
        return len(self.tensors) - 1

    def operator(
        self, kind: Kind | None, inputs: tuple[int, ...], output: int, options: tuple[int, Any | None]
    ) -> None:
        options_type, table = options
        code = self.codes.setdefault(_CODES[kind], len(self.codes))
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

    def _share(self, key: Hashable, writer: Callable[[], Callable[[flatbuffers.Builder], int]]) -> _Once:
        if key not in self.shared:
            self.shared[key] = _Once(writer())
        return self.shared[key]
