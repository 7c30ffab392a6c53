"""Read a .tflite file back: its structure as a comparable value, and who made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foxnas.errors import FoxnasError
from foxnas.files import seal
from foxnas.int8 import tasks
from foxnas.int8.packing import pack

#: Name of our entry among a model's metadata.
_ENTRY = "foxnas"


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """A tensor without its data; two are equal when they differ in the values of their scales alone.

    `type` is TFLite's name (INT8, UINT8, INT32, FLOAT32), `scales` the number of scales (0: not
    quantised), `axis` the dimension they run along, `constant` whether the file holds its data, `dynamic`
    whether a dimension is left open until the model runs.
    """

    shape: tuple[int, ...]
    type: str
    scales: int
    axis: int
    constant: bool
    dynamic: bool
    name: str = field(compare=False)
    scale: tuple[float, ...] = field(compare=False, repr=False)
    zero_point: tuple[int, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OperatorSummary:
    """An operator: builtin name, version, options by name, and the tensors it reads and writes (-1: left out)."""

    name: str
    version: int
    options: tuple[tuple[str, Any], ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Structure of a model with one subgraph."""

    tensors: tuple[TensorSummary, ...]
    operators: tuple[OperatorSummary, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    size_bytes: int = field(compare=False)

    @property
    def image(self) -> TensorSummary:
        """The only input."""
        return self.tensors[self.inputs[0]]

    @property
    def logits(self) -> TensorSummary:
        """The only output."""
        return self.tensors[self.outputs[0]]


def read_summary(content: bytes) -> Summary:
    """Return the structure of a .tflite file with one subgraph, one input and one output.

    Raises FoxnasError when it is something else, or damaged.
    """
    return summary_of(read_model(content), len(content))


def summary_of(model: Any, size: int) -> Summary:
    """Return the same of a `schema.ModelT`, which was read from a file of so many bytes."""
    graph = model.subgraphs[0]
    if len(model.subgraphs) != 1 or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise FoxnasError("the .tflite file is not an image classifier: expected one subgraph, one input, one output")
    return Summary(
        tuple(_tensor(tensor, model.buffers) for tensor in graph.tensors),
        tuple(_operator(operator, model.operatorCodes) for operator in graph.operators),
        _integers(graph.inputs),
        _integers(graph.outputs),
        size,
    )


def builtin_code(name: str) -> int:
    """Return the number of an operator in TFLite's schema."""
    return int(getattr(schema.BuiltinOperator, name))


def with_metadata(content: bytes, made_by: Mapping[str, Any], classifier: tasks.Classifier | None = None) -> bytes:
    """Return the same model, sealed, with `made_by` embedded as JSON; entries of ours that were there are replaced.

    With a classifier, also with its description and its labels, for other people's readers.
    """
    model = read_model(content)
    text = json.dumps({**made_by, **seal.UNSEALED}, sort_keys=True, allow_nan=False).encode()
    _embed(model, _ENTRY, text)
    if classifier is None:
        return seal.sealed(pack(model))
    _embed(model, tasks.ENTRY, tasks.described(classifier))
    return seal.sealed(tasks.with_labels(pack(model), classifier.labels))


def _embed(model: Any, name: str, content: bytes) -> None:
    buffer = schema.BufferT(data=np.frombuffer(content, np.uint8))
    for entry in model.metadata or []:
        if _text(entry.name) == name:
            model.buffers[entry.buffer] = buffer
            return
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), schema.MetadataT(name=name, buffer=len(model.buffers) - 1)]


def read_metadata(content: bytes) -> dict[str, Any]:
    """Return what `with_metadata` embedded. Raises FoxnasError when the file holds nothing of the kind."""
    model = read_model(content)
    for entry in model.metadata or []:
        if _text(entry.name) == _ENTRY:
            value = json.loads(bytes(model.buffers[entry.buffer].data))
            if isinstance(value, dict):
                return {name: one for name, one in value.items() if name not in seal.UNSEALED}
    raise FoxnasError("the .tflite file does not say what made it: it was not exported by this workflow")


def read_model(content: bytes) -> Any:
    """Return the `schema.ModelT` of a .tflite file. Raises FoxnasError when it is something else, or damaged."""
    if content[4:8] != b"TFL3":
        raise FoxnasError(f"not a .tflite file: {len(content)} bytes without the identifier TFL3")
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:
        raise FoxnasError(f"the .tflite file is damaged or truncated ({len(content)} bytes): {error}") from error


def _tensor(tensor: Any, buffers: list[Any]) -> TensorSummary:
    quantisation = tensor.quantization
    scale = () if quantisation is None or quantisation.scale is None else quantisation.scale
    zero_point = () if quantisation is None or quantisation.zeroPoint is None else quantisation.zeroPoint
    return TensorSummary(
        shape=_integers(tensor.shape),
        type=_names(schema.TensorType)[tensor.type],
        scales=len(scale),
        axis=quantisation.quantizedDimension if len(scale) else 0,
        constant=buffers[tensor.buffer].data is not None,
        dynamic=any(n < 0 for n in (*_integers(tensor.shape), *_integers(tensor.shapeSignature))),
        name=_text(tensor.name),
        scale=tuple(float(s) for s in scale),
        zero_point=_integers(zero_point),
    )


def _operator(operator: Any, codes: list[Any]) -> OperatorSummary:
    code = codes[operator.opcodeIndex]
    options = vars(operator.builtinOptions) if operator.builtinOptions else {}
    return OperatorSummary(
        # Old files keep the code in the deprecated field alone.
        name=_names(schema.BuiltinOperator)[max(code.builtinCode, code.deprecatedBuiltinCode)],
        version=code.version,
        options=tuple(sorted(options.items())),
        inputs=_integers(operator.inputs),
        outputs=_integers(operator.outputs),
    )


def _integers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(v) for v in values)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


@cache
def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
