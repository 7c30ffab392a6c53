"""Asks a device under which conditions it measures, and holds the answer to a schema before it is believed."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from foxnas.device.answers_of_programs import ask_program, ask_until_free
from foxnas.device.archive import archive
from foxnas.device.text import printable
from foxnas.device.transport import Device, Implausible
from foxnas.runner import conditions as program

#: Longest that a device may take to answer, beyond the time that it watches itself.
_ANSWER_S = 60.0

_Word = Annotated[str, BeforeValidator(lambda value: printable(value, 100) if isinstance(value, str) else value)]
_Least0 = Annotated[float, Field(ge=0, le=1e12)]
_Count = Annotated[int, Field(ge=0, le=10**12)]
_Celsius = Annotated[float, Field(ge=-1e5, le=1e5)]


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore", frozen=True)


class Machine(_Told):
    """What stays the same from boot to boot; see `foxnas.runner.machine`."""

    system: _Word | None = None
    release: _Word | None = None
    architecture: _Word | None = None
    board: _Word | None = None
    cpu: _Word | None = None
    cores: _Count | None = None
    memory_mb: _Count | None = None


class Busy(_Told):
    """A program of somebody else's, and the percent of one CPU that it took."""

    name: _Word
    process: _Count
    percent: _Least0


class Conditions(_Told):
    """What `foxnas.runner.conditions` answers; None where the machine does not tell."""

    python: _Word
    bits: Annotated[int, Field(ge=8, le=128)]
    machine: Machine
    virtual: bool
    clock_step_ns: _Count | None
    busy_cpus: _Least0 | None
    stolen_percent: _Least0 | None
    busiest: Annotated[list[Busy], Field(max_length=10)]
    load: _Least0
    memory_available_mb: _Count | None
    swap_mb: _Count | None
    swap_free_mb: _Count | None
    swapped_pages: _Count | None
    governors: Annotated[list[_Word], Field(max_length=100)]
    driver: _Word | None
    clock_mhz: _Least0 | None
    lowest_clock_mhz: _Least0 | None
    highest_clock_mhz: _Least0 | None
    boost: bool | None
    temperatures_c: Annotated[dict[_Word, _Celsius], Field(max_length=256)]
    throttled: _Word | None
    throttled_since_boot: _Word | None


def ask_conditions(device: Device, python: str, watch_s: float, cpu: int | None, root: str = "/") -> Conditions:
    """Return the conditions on a device, while nobody measures there.

    Parameters
    ----------
    python
        A Python of the device, 3.7 or later.
    watch_s
        How long its load is watched.
    cpu
        The CPU that a protocol names.
    root
        Where its files are looked for; ``/`` but in tests.

    Raises
    ------
    DeviceLost
        When the device is gone, or answers what cannot be.
    FoxnasError
        When somebody measures there for longer than `device.busy_s`, or the program does not run.
    """
    content = archive(Path(program.__file__))
    holder = f"{getpass.getuser()} on {socket.gethostname()}, doctor"
    asked = {"lock": device.lock, "holder": holder, "watch_s": watch_s, "cpu": cpu, "root": root}

    answer = ask_until_free(
        device,
        lambda: ask_program(device, python, content, asked, "cannot tell about it", watch_s + _ANSWER_S),
        lambda who: f"waiting, another session measures there: {who}",
        lambda who: f"{device}: somebody measures there ({who}); wait for it, or end it, and ask again",
    )
    return _checked(device, answer)


def _checked(device: Device, answer: dict[str, Any]) -> Conditions:
    try:
        return Conditions.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where, found = ".".join(map(str, first["loc"])), printable(repr(first["input"])[:200], 60)
        said = f"without {where}" if first["type"] == "missing" else f"{where} of {found}: {first['msg']}"
        raise Implausible(f"{device}: answered {printable(said, 200)}; nothing of it is believed") from None
