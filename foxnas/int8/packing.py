"""Packs models into FlatBuffers bytes: aligned data, and shared data written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

#: TFLite maps buffers into memory and wants their data on these boundaries.
_ALIGNMENT = 16


def pack(model: Any) -> bytes:
    """Serialise a `schema.ModelT` with its buffers on 16-byte boundaries, as the converter does.

    The object API alone would put an int32 bias on any odd byte.
    """
    empty = Once(schema.BufferT().Pack)
    held = [buffer.data for buffer in model.buffers]
    model.buffers = [empty if data is None else _Aligned(data) for data in held]
    builder = flatbuffers.Builder(sum(64 + data.nbytes for data in held if data is not None) + 65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


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


class Once:
    """Packs its object the first time and points to that copy afterwards."""

    def __init__(self, write: Callable[[flatbuffers.Builder], int]) -> None:
        self.write = write
        self.offset: int | None = None

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.offset is None:
            self.offset = self.write(builder)
        return self.offset


class Tensor:
    """A `schema.TensorT` that writes only what an int8 graph uses; shape and scales may be shared."""

    def __init__(self, name: str, shape: Once, type: int, buffer: int, quantisation: Once) -> None:
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
