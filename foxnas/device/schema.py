"""What a device may answer: every header is held to this before anything is made of it, or written down.

A timing is finite, positive and possible: no shorter than the device's clock can tell, no longer than the host has
waited for it. Fields that are not listed are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from foxnas.device.text import LONGEST_TEXT, printable
from foxnas.device.transport import Implausible

_NAME = 200

#: What a host's clock and a device's may disagree by: a step of one of them, and the share that is due to drift.
_SLACK_MS, _SLACK = 1000.0, 1.05

#: How pydantic begins what a value should be.
_WORDS = r"^(Input|Value|List|Dictionary|String|Tuple) should "

#: A nanosecond: no clock of a runner tells less.
_GRAIN_MS = 1e-6


def _line(longest: int) -> BeforeValidator:
    return BeforeValidator(lambda value: printable(value, longest) if isinstance(value, str) else value)


_Text = Annotated[str, _line(LONGEST_TEXT)]
_Word = Annotated[str, _line(_NAME)]
_Above0 = Annotated[float, Field(gt=0)]
_Least0 = Annotated[float, Field(ge=0)]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Mb = Annotated[float, Field(ge=0, le=1e8)]
# Sensors are taken for what they are: one that is switched off says 0 MHz, or -274 degrees, and no number hangs on it.
_Mhz = Annotated[float, Field(ge=0, le=1e6)]
_Celsius = Annotated[float, Field(ge=-1e5, le=1e5)]
_Energy = Annotated[float, Field(ge=-1e12, le=1e12)]
_Count = Annotated[int, Field(ge=0, le=10**9)]
_Side = Annotated[int, Field(ge=1, le=10**6)]


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class _Gpu(_Answer):
    clock_mhz: _Mhz | None = None
    highest_clock_mhz: _Mhz | None = None
    memory_clock_mhz: _Mhz | None = None
    temperature_c: _Celsius | None = None
    power_w: _Energy | None = None
    power_limit_w: _Energy | None = None
    ecc_errors: _Least0 | None = None
    performance_state: _Word | None = None
    persistence: _Word | None = None
    ecc: _Word | None = None
    throttled: _Word | None = None


class _State(_Answer):
    governor: _Word | None = None
    clock_mhz: _Mhz | None = None
    temperatures_c: Annotated[dict[_Word, _Celsius], Field(max_length=256)] | None = None
    throttled: _Word | None = None
    throttled_since_boot: _Word | None = None
    power_w: _Energy | None = None
    load: _Least0 | None = None
    affinity: Annotated[list[_Count], Field(max_length=65536)] | None = None
    gpu: _Gpu | None = None


class _Machine(_Answer):
    system: _Word | None = None
    release: _Word | None = None
    architecture: _Word | None = None
    board: _Word | None = None
    cpu: _Word | None = None
    cores: _Count | None = None
    memory_mb: _Count | None = None
    machine: _Word | None = None
    python: _Word | None = None


class _Hello(_Answer):
    runner: _Word
    backend: _Word
    runtime: _Word
    runtime_version: _Word
    accelerator: _Word | None = None
    peak_memory_of: _Word | None = None
    timer_overhead_ns: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    machine: _Machine
    state: _State


class _Refusal(_Answer):
    error: Annotated[_Text, Field(min_length=1)]


class _Timing(_Answer):
    latency_ms: _Above0
    p10_ms: _Above0
    p90_ms: _Above0
    mad_ms: _Least0
    runs: Annotated[int, Field(ge=1, le=10**9)]
    preempted_percent: _Percent
    peak_memory_mb: _Mb | None = None
    energy_mj: _Energy | None = None
    batch: Annotated[int, Field(ge=1, le=10**6)] | None = None
    dtype: _Word | None = None
    signedness: _Word | None = None
    io_dtype: _Word | None = None
    executor: _Word | None = None
    fallback_operators: _Count | None = None
    clock_mhz: _Mhz | None = None
    temperature_c: _Celsius | None = None
    throttled: _Word | None = None
    device_ms: _Least0 | None = None

    @model_validator(mode="after")
    def _ordered(self) -> _Timing:
        if not self.p10_ms <= self.latency_ms <= self.p90_ms:
            raise ValueError(f"a median of {self.latency_ms} ms between {self.p10_ms} and {self.p90_ms} ms")
        return self


class _Opened(_Answer):
    image_shape: Annotated[list[_Side], Field(min_length=1, max_length=4)]
    image_dtype: Literal["uint8", "int8", "float32"]
    output_shape: Annotated[list[_Side], Field(min_length=1, max_length=4)]
    output_dtype: Literal["uint8", "int8", "int16", "float32"]
    scale: _Least0
    zero_point: Annotated[int, Field(ge=-(2**31), lt=2**31)]


def checked_hello(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a runner says of itself and its machine. Raises Implausible, like all of these."""
    return _checked(_Hello, header)


def checked_state(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return clock, governor, temperatures and load."""
    return _checked(_State, header)


def checked_opened(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's shapes and types, or its ``error``."""
    return _checked(_Refusal if "error" in header else _Opened, header)


def checked_row(header: Mapping[str, Any], grain_ns: float, waited_ms: float) -> dict[str, Any]:
    """Return a timing, or its ``error``.

    Parameters
    ----------
    grain_ns
        The shortest time that the device's clock tells, by its own word.
    waited_ms
        How long the host has waited for the answer.
    """
    if "error" in header:
        return _checked(_Refusal, header)
    row = _checked(_Timing, header)
    least_ms, most_ms = max(grain_ns / 1e6, _GRAIN_MS), _SLACK * waited_ms + _SLACK_MS
    if row["latency_ms"] < least_ms:
        raise Implausible(f"a latency of {row['latency_ms']:g} ms, less than its clock can tell ({least_ms:g} ms)")
    # Nine in ten runs took at least the 10th percentile.
    spent_ms = max(0.9 * row["runs"] * row["p10_ms"], row["latency_ms"], row.get("device_ms") or 0.0)
    if spent_ms > most_ms:
        raise Implausible(
            f"{row['runs']} runs of {row['latency_ms']:g} ms, at least {spent_ms:g} ms in all, within "
            f"{waited_ms:.0f} ms"
        )
    return row


def _checked(kind: type[_Answer], header: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return kind.model_validate(dict(header)).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where, found = ".".join(map(str, first["loc"])), printable(repr(first["input"])[:_NAME], 60)
        if first["type"] == "missing":
            raise Implausible(f"without {where}") from None
        said = printable(re.sub(_WORDS, "must ", first["msg"]), _NAME).removeprefix("Value error, ")
        said = "must be an object" if first["type"] == "model_type" else said
        raise Implausible(f"{where} of {found}, which {said}" if where else said) from None
