"""A model at work on a device without a pause: its first inference, its slow ones, and whether it slows down."""

from __future__ import annotations

import getpass
import importlib.util
import logging
import socket
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from foxnas.device.answers_of_programs import ask_program, ask_until_free
from foxnas.device.archive import archive
from foxnas.device.kinds import kind_of
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.text import printable
from foxnas.device.transport import Device, Implausible
from foxnas.runner import sustained as program

_log = logging.getLogger(__name__)

#: Longest that a device may take beside the run itself, and that a compiler for one network may.
_ANSWER_S, _COMPILING_S = 120.0, 1800.0

#: Windows at either end of a run whose medians are compared: of 30 windows in 5 minutes, half a minute.
_END = 3

_Ms = Annotated[float, Field(gt=0, le=1e9)]
_Least0 = Annotated[float, Field(ge=0, le=1e9)]
_Celsius = Annotated[float, Field(ge=-1e5, le=1e5)]
_Word = Annotated[str, BeforeValidator(lambda value: printable(value, 200) if isinstance(value, str) else value)]


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore", frozen=True)


class Window(_Told):
    """A part of the run; see `foxnas.runner.sensors.Sensors.sample` for what the machine says after it."""

    after_s: _Least0
    median_ms: _Ms
    clock_mhz: _Least0 | None = None
    temperature_c: _Celsius | None = None
    throttled: _Word | None = None


class Sustained(_Told):
    """What `foxnas.runner.sustained` answers; times in ms, the percentiles of all inferences but the first."""

    loading_ms: _Ms
    first_ms: _Ms
    runs: Annotated[int, Field(ge=1, le=10**9)]
    p50_ms: _Ms
    p90_ms: _Ms
    p99_ms: _Ms
    slowest_ms: _Ms
    windows: Annotated[list[Window], Field(min_length=1, max_length=program.WINDOWS)]

    @model_validator(mode="after")
    def _ordered(self) -> Sustained:
        if not self.p50_ms <= self.p90_ms <= self.p99_ms <= self.slowest_ms:
            raise ValueError("percentiles that do not grow")
        return self

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run, without its windows; what the machine does not tell is None."""
        begin, end = self.windows[:_END], self.windows[-_END:]
        begin_ms, end_ms = (median(one.median_ms for one in part) for part in (begin, end))
        warm = [one.temperature_c for one in self.windows if one.temperature_c is not None]
        clocks = [one.clock_mhz for one in self.windows if one.clock_mhz is not None]
        told = [one.throttled for one in self.windows if one.throttled is not None]
        return {
            **self.model_dump(exclude={"windows"}),
            "seconds": self.windows[-1].after_s,
            "begin_ms": begin_ms,
            "end_ms": end_ms,
            "slowdown_percent": 100 * (end_ms / begin_ms - 1),
            "begin_temperature_c": warm[0] if warm else None,
            "highest_temperature_c": max(warm, default=None),
            "lowest_clock_mhz": min(clocks, default=None),
            "throttled": ", ".join(dict.fromkeys(word for said in told for word in said.split(", ") if word))
            if told
            else None,
        }


def run_sustained(
    device: Device, python: str, protocol: MeasurementProtocol, model: bytes, seconds: float
) -> Sustained:
    """Run a model without a pause, under the machine's lock, and return what the device says of it.

    Parameters
    ----------
    python
        The device's Python that has the runtime.
    model
        As `foxnas.device.kind.DeviceKind.prepared` gives it.

    Raises
    ------
    DeviceLost
        When the device is gone, or answers what cannot be.
    FoxnasError
        When the model cannot be run there, or somebody measures there for longer than `device.busy_s`.
    """
    content = _program(device.backend)
    asked = {
        "lock": device.lock,
        "holder": f"{getpass.getuser()} on {socket.gethostname()}",
        "backend": device.backend,
        "threads": protocol.threads,
        "cpu": protocol.cpu,
        "settings": protocol.timing,
        "seconds": seconds,
    }
    allowance_s = _ANSWER_S + (_COMPILING_S if protocol.torch and protocol.torch.compile else 0)
    _log.info("%s: running the model for %g s without a pause", device, seconds)
    answer = ask_until_free(
        device,
        lambda: ask_program(device, python, content, asked, "cannot run the model", seconds + allowance_s, model),
        lambda who: f"waiting, another session measures there: {who}",
        lambda who: f"{device}: somebody measures there ({who}); wait for it, or end it, and run again",
    )
    try:
        return Sustained.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where} of {printable(repr(first['input'])[:200], 60)}: {first['msg']}"
        raise Implausible(f"{device}: answered {printable(said, 300)}; nothing of it is believed") from None


def _program(kind: str) -> bytes:
    """Return the program, with the backend that a plug-in brings."""
    module, _, name = kind_of(kind).backend.partition(":")
    own = importlib.util.find_spec(module) if not module.startswith("foxnas.runner.") else None
    if own is None or own.origin is None:
        return archive(Path(program.__file__))
    registered = f"from {module} import {name}\nBACKENDS[{kind!r}] = {name}\n"
    return archive(Path(program.__file__), Path(own.origin), registered)
