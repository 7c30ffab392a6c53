"""Examines a device: asks what it is, times the reference in several sessions, and keeps it at work for a while.

Nothing here judges, and nothing on the device is changed: what is asked leaves nothing there, and measuring puts the
runner into `ssh.folder` where it is not there yet, as every measurement does.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.survey import Survey, survey
from foxnas.device.session import measured_rows
from foxnas.device.status_line import condition
from foxnas.device.transport import Device, DeviceLost, Implausible, NotProvisioned, RunnerDied
from foxnas.doctor.conditions import Conditions, ask_conditions
from foxnas.errors import FoxnasError
from foxnas.files.progress import Progress

_log = logging.getLogger(__name__)

#: How long other load is watched, and how long one timing under load takes at most.
WATCH_S, _TIMING_S = 2.0, 2.0

#: Oldest Python of a device that can say under which conditions it measures, as the runner needs it.
_OLDEST_PYTHON = (3, 7)

#: What came to an end: reaching the device, asking it, starting the runner there, or timing the reference.
Step = Literal["connection", "conditions", "runtime", "environment", "reference"]


@dataclass(frozen=True)
class Extent:
    """How much of a device is examined.

    Parameters
    ----------
    sessions
        Sessions of the reference, each a runner process of its own, as a validation's are.
    pause_s
        A session starts at least so long after the one before.
    load_s
        How long the device is then kept at work with the reference.
    """

    sessions: int = 8
    pause_s: float = 5.0
    load_s: float = 60.0


@dataclass(frozen=True)
class Session:
    """One session of the reference: its timings, and what the protocol makes of one more that they enclose.

    Parameters
    ----------
    references_ms
        Medians of the reference's timings.
    reason
        Why a probe timed between them would not be believed; empty if it would.
    facts
        What a timing says of the model and of what ran it.
    hello
        What the runner said of itself and its machine.
    """

    references_ms: tuple[float, ...]
    reason: str
    facts: Mapping[str, Any]
    hello: Mapping[str, Any]

    @property
    def median_ms(self) -> float:
        """The session's figure."""
        return median(self.references_ms)


@dataclass(frozen=True)
class Examination:
    """All that was found out; what is missing was not reached, and `failure` says why.

    Parameters
    ----------
    python, folder
        Of the device: the Python that runs the runner, and where the environment lies.
    failed, failure
        The step that came to an end, and its one sentence.
    loaded
        Timings of the reference, one after the other without a pause.
    """

    device: str
    kind: str
    host: str
    python: str
    folder: str
    protocol: MeasurementProtocol
    survey: Survey | None = None
    conditions: Conditions | None = None
    sessions: tuple[Session, ...] = ()
    loaded: tuple[Mapping[str, Any], ...] = ()
    failed: Step | None = None
    failure: str = ""


def examine(
    device: Device,
    protocol: MeasurementProtocol,
    python: str,
    folder: str,
    reference: Callable[[], bytes],
    extent: Extent,
    root: str = "/",
) -> Examination:
    """Return what is found out about a device, up to the step that it does not take.

    Parameters
    ----------
    python, folder
        Of the device: the Python that runs the runner, and where the environment lies.
    reference
        Gives the reference model; raises FoxnasError where it cannot be made.
    root
        Where the device's files on clock and temperature are looked for; ``/`` but in tests.
    """
    device = replace(device, away_s=0.0)
    found: dict[str, Any] = {}
    step: Step = "connection"
    try:
        found["survey"] = surveyed = survey(device.transport, folder)
        _log.info("%s: %s", device, surveyed)
        step = "conditions"
        found["conditions"] = ask_conditions(device, _python_of(device, python, surveyed), WATCH_S, protocol.cpu, root)
        step = "reference"
        model = reference()
        step = "runtime"
        for session in _sessions(device, protocol, model, extent):
            found["sessions"] = (*found.get("sessions", ()), session)
        found["loaded"] = tuple(_load(device, protocol, model, extent.load_s))
    except FoxnasError as error:
        found |= {"failed": _failed(error, step), "failure": str(error)}
    return Examination(device.name, device.backend, device.transport.host, python, folder, protocol, **found)


def _failed(error: FoxnasError, step: Step) -> Step:
    """Return what came to an end, by the error that ended it."""
    if isinstance(error, NotProvisioned):
        return "environment"
    if isinstance(error, DeviceLost) and not isinstance(error, RunnerDied | Implausible):
        return "connection"
    return "reference" if "the reference model cannot be run" in str(error) else step


def _python_of(device: Device, wanted: str, found: Survey) -> str:
    """Return the Python that runs the runner, or the device's own where that is not there."""
    if device.transport.run([wanted, "-c", ""]).status == 0:
        return wanted
    own = next((python.path for python in found.pythons if python.version >= _OLDEST_PYTHON), None)
    if own is None:
        have = ", ".join(".".join(map(str, python.version)) for python in found.pythons) or "none"
        raise FoxnasError(f"{device}: has no Python of 3.7 or later (it has {have})")
    return own


def _sessions(device: Device, protocol: MeasurementProtocol, model: bytes, extent: Extent) -> Iterator[Session]:
    """Time the reference in sessions of its own, as the workflow times a probe and the reference around it."""
    progress = Progress(extent.sessions, f"sessions of the reference on {device.name}")
    for number in range(extent.sessions):
        begun = time.monotonic()
        probe = ("reference again", "the reference", lambda: model)
        with tempfile.TemporaryDirectory(prefix="foxnas-doctor-") as kept:
            journal = Path(kept) / "journal.jsonl"
            try:
                rows, info = measured_rows(device, protocol, [probe], model, journal, np.random.default_rng(number))
            except DeviceLost as error:  # it would say that the journal is kept
                raise error.__cause__ or error from None
        told = info["sessions"][-1]
        yield Session(tuple(told["references_ms"]), rows[0]["reason"], rows[0], told)
        progress.reached(number + 1)
        if number + 1 < extent.sessions:
            time.sleep(max(extent.pause_s - (time.monotonic() - begun), 0))


def _load(device: Device, protocol: MeasurementProtocol, model: bytes, seconds: float) -> Sequence[Mapping[str, Any]]:
    """Keep a device at work as a measurement does, on the protocol's threads, and return the timings."""
    timing_ms = 1000 * min(_TIMING_S, seconds / 4)
    busy = replace(protocol, min_time_ms=timing_ms, max_time_ms=max(protocol.max_time_ms, 2 * timing_ms + 1))
    rows: list[dict[str, Any]] = []
    with Runner(device, busy) as runner:
        begun = time.monotonic()
        progress = Progress(round(seconds), f"s of load on {device.name}", state=lambda: condition(rows[-1]))
        while (spent := time.monotonic() - begun) < seconds:
            row = runner.measure("reference", model)
            if "error" in row:
                raise FoxnasError(f"{device}: the reference model cannot be run: {row['error']}")
            rows.append({**row, "after_s": spent})
            progress.reached(min(round(time.monotonic() - begun), round(seconds)))
    return rows
