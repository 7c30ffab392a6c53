"""What Vela wrote about a model, checked: a number that it cannot mean is refused and never becomes a latency."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foxnas.device.npu import NpuSettings
from foxnas.errors import FoxnasError
from foxnas.int8.reading import read_summary

#: The operator that stands for what runs on the NPU.
NPU_OPERATOR = "CUSTOM"

_MEMORIES = ("sram", "dram", "on_chip_flash", "off_chip_flash")

#: Seconds times cycles a second is cycles: how far the three may be from it, relatively.
_CLOSE = 1e-6


@dataclass(frozen=True)
class Estimate:
    """What Vela estimates for one model.

    Parameters
    ----------
    npu_ms, cycles
        Time and cycles of an inference on the NPU, by Vela's model of it.
    sram_bytes, off_chip_bytes
        Most memory in use: on the chip, and in flash or DRAM.
    encoded_weight_bytes
        Weights as they travel, compressed.
    operators_npu
        Command streams: one for each run of operators that the NPU takes.
    fallbacks
        Operators that are left to the CPU, by name: how many. `npu_ms` knows nothing of them.
    """

    npu_ms: float
    cycles: int
    sram_bytes: int
    off_chip_bytes: int
    encoded_weight_bytes: int
    operators_npu: int
    fallbacks: Mapping[str, int]

    @property
    def problem(self) -> str:
        """Why `npu_ms` is not the latency of the model; empty if it is."""
        if not self.fallbacks:
            return ""
        count = sum(self.fallbacks.values())
        named = ", ".join(f"{name} ({number})" for name, number in sorted(self.fallbacks.items()))
        operators = "1 operator falls" if count == 1 else f"{count} operators fall"
        return f"{operators} back to the CPU, which Vela's estimate leaves out: {named}"


def read_estimate(path: Path, source: bytes, compiled: bytes, npu: NpuSettings) -> Estimate:
    """Return what Vela's summary file says of a model, and the compiled model shows.

    Raises
    ------
    FoxnasError
        The file is no summary of one model for this NPU, a number is missing, not finite, negative or contradicts
        another, or the compiled model does not read and write what the source does.
    """
    row = _row(path)
    for key, expected in (
        ("accelerator_configuration", npu.accelerator_config.replace("-", "_").capitalize().replace("_u", "_U")),
        ("system_config", npu.system_config),
        ("memory_mode", npu.memory_mode),
    ):
        if (found := _text(path, row, key)) != expected:
            raise FoxnasError(f"{_VELA}: {key} is {found!r} in {path.name}, {expected} was asked for")
    seconds = _number(path, row, "inference_time")
    cycles = _number(path, row, "cycles_total")
    clock = _number(path, row, "core_clock")
    if not math.isclose(seconds * clock, cycles, rel_tol=_CLOSE):
        raise FoxnasError(
            f"{_VELA}: inference_time {seconds:g} s at core_clock {clock:g} Hz is not cycles_total {cycles:g} in "
            f"{path.name}"
        )
    kib = {memory: _number(path, row, f"{memory}_memory_used", least=0.0) for memory in _MEMORIES}
    before, after = read_summary(source), read_summary(compiled)
    if (before.image.shape, before.logits.shape) != (after.image.shape, after.logits.shape):
        raise FoxnasError(
            f"{_VELA}: the compiled model reads {after.image.shape} and writes {after.logits.shape}, its source "
            f"{before.image.shape} and {before.logits.shape}"
        )
    operators = Counter(operator.name for operator in after.operators)
    return Estimate(
        npu_ms=1000 * seconds,
        cycles=round(cycles),
        sram_bytes=round(1024 * (kib["sram"] + kib["on_chip_flash"])),
        off_chip_bytes=round(1024 * (kib["dram"] + kib["off_chip_flash"])),
        encoded_weight_bytes=round(_number(path, row, "total_npu_encoded_weights", least=0.0)),
        operators_npu=operators.pop(NPU_OPERATOR, 0),
        fallbacks=dict(operators),
    )


#: How its sentences begin.
_VELA = "Vela's output cannot be believed"


def _row(path: Path) -> dict[str, str | None]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FoxnasError(f"{_VELA}: {path.name} cannot be read ({error})") from error
    if len(rows) != 1:
        raise FoxnasError(f"{_VELA}: {path.name} has {len(rows)} rows, one is expected")
    return rows[0]


def _text(path: Path, row: Mapping[str, str | None], key: str) -> str:
    value = row.get(key)
    if not value:
        raise FoxnasError(f"{_VELA}: {path.name} has no {key}")
    return value


def _number(path: Path, row: Mapping[str, str | None], key: str, least: float | None = None) -> float:
    """Return a finite number: at least `least`, else above 0."""
    text = _text(path, row, key)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value <= 0 if least is None else value < least):
        wanted = "above 0" if least is None else f"at least {least:g}"
        raise FoxnasError(f"{_VELA}: {key} is {text!r} in {path.name}, must be a finite number {wanted}")
    return value
