"""A small space for the Edge TPU, its largest probe, and that probe changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from foxnas.int8.packing import pack
from foxnas.int8.probe import ProbeWriter
from foxnas.space.space import SearchSpace, UnitSpec

SPACE = SearchSpace(
    name="small", image_sizes=(16,), kernel_sizes=(3, 5), expansion_ratios=(2, 3), depths=(2, 3), stem_width=8,
    stem_stride=2, units=(UnitSpec(8, 2, 2), UnitSpec(12, 1, 1)), head_width=16, image_channels=1, classes=10,
)  # fmt: skip
WRITER = ProbeWriter(SPACE)
PROBE = WRITER.write(SPACE.largest(16))
Op = schema.BuiltinOperator


def edited(change: Callable[[Any], None]) -> bytes:
    """The probe with its object tree changed."""
    model = schema.ModelT.InitFromPackedBuf(PROBE, 0)
    change(model)
    return pack(model)


def code_of(model: Any, builtin: int) -> Any:
    return next(code for code in model.operatorCodes if builtin in (code.builtinCode, code.deprecatedBuiltinCode))


def set_code(model: Any, builtin: int, other: int) -> None:
    code = code_of(model, builtin)
    code.builtinCode, code.deprecatedBuiltinCode = other, min(other, 127)
