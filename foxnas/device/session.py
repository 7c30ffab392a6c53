"""Timing of many probes on one device: random order, references between, nothing dropped in silence."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from foxnas.device.acceptance import COLUMNS, RACK_COLUMNS, is_settled, judge, references, table_row
from foxnas.device.board_session import REFERENCE, BoardRefused
from foxnas.device.client import Runner
from foxnas.device.kind import NotWritten
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.rack import RackDevice, open_session
from foxnas.device.retrying import persist
from foxnas.device.status_line import condition
from foxnas.device.transport import Device, DeviceLost, Implausible, RunnerDied
from foxnas.errors import FoxnasError
from foxnas.files.identity import digest
from foxnas.files.journal import Journal, as_text
from foxnas.files.progress import follow

if TYPE_CHECKING:  # a table needs it, measuring does not
    import pandas as pd

_log = logging.getLogger(__name__)

Probe = tuple[str, str, Callable[[], bytes]]
"""(id, architecture text, what builds the model's bytes)"""


def measure_probes(
    device: Device,
    protocol: MeasurementProtocol,
    probes: Sequence[Probe],
    reference: bytes,
    journal: Path,
    rng: np.random.Generator,
    *,
    made_from: str = "",
    baseline_ms: float | None = None,
    columns: Sequence[str] = COLUMNS,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one row per probe, in the order given, and what is to be known about the sessions.

    Probes are timed one at a time in `protocol.repeats` passes, each over all of them in a new random order,
    the reference model before the first, after every `protocol.reference_every` and after the last. Those
    whose runs spread too much, whose nearest references drifted or whose timings disagree are timed again
    in further passes, when a disturbance of some seconds has gone; after `protocol.max_attempts` they are
    kept with ``usable`` False and the reason. A model that cannot be run gets such a row too, and the
    session goes on.

    Parameters
    ----------
    probes
        Ids must be unique. A model is built when its turn comes, never while another is timed.
    reference
        A model that never changes for this device, of typical latency.
    journal
        Timings are written here as they are made; a second call measures only what is missing.
        It is keyed by probe id, protocol, runner version, device identity, reference and `made_from`.
    rng
        Decides the order, alone.
    made_from
        What else the probes depend on, such as a digest of the space and of the code that writes them.
    baseline_ms
        The reference's latency that drift is relative to; None takes the median of all references in
        the journal.
    columns
        Of `foxnas.device.acceptance.table_row`.

    Returns
    -------
    table
        The columns asked for, of a rack also `RACK_COLUMNS`; latencies in ms, memory in MiB, drift
        in percent.
    info
        Device identity, protocol, and for each session (also those of interrupted calls) its machine, its
        state before and after, how many timings of probes it made, for how many probes it made the last one, and the
        range of clock and temperature between them.

    Raises
    ------
    DeviceLost
        When the device went away and did not come back within `device.away_s`; what was measured is kept.
    FoxnasError
        When ids repeat, the journal cannot be written, or the reference model cannot be run.
    """
    import pandas as pd

    rows, info = measured_rows(
        device, protocol, probes, reference, journal, rng, made_from=made_from, baseline_ms=baseline_ms
    )
    further = RACK_COLUMNS if isinstance(device, RackDevice) else ()
    table = pd.DataFrame(rows, columns=[*columns, *further]).astype({"usable": bool, "attempts": int})
    numbers = COLUMNS[COLUMNS.index("latency_ms") : COLUMNS.index("usable")]
    for name in ("batch", *numbers, *further[1:]):
        table[name] = pd.to_numeric(table[name])
    return table, info


def measured_rows(
    device: Device,
    protocol: MeasurementProtocol,
    probes: Sequence[Probe],
    reference: bytes,
    journal: Path,
    rng: np.random.Generator,
    *,
    made_from: str = "",
    baseline_ms: float | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of `measure_probes` as plain values, and the same about the sessions; pandas is not needed."""
    if len({identifier for identifier, _, _ in probes}) < len(probes):
        raise FoxnasError(f"{device}: two of the {len(probes)} probes have one id")
    recorded = 0

    def session() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        nonlocal recorded
        with (
            open_session(device, protocol, compared=True) as runner,
            Journal(journal, _key(runner, reference, made_from)) as book,
        ):
            book.records[:] = filter(_is_possible, book.records)
            try:
                _Measurement(runner, book, reference, baseline_ms).run(probes, rng)
            finally:
                recorded = sum(map(len, judge(book.records, protocol, baseline_ms).values()))
            return book.records, runner.identity

    try:
        records, identity = persist(device, session, lambda: recorded)
    except DeviceLost as error:
        raise DeviceLost(f"{error}. What was measured is kept in {journal}: run again for the rest") from error
    attempts = judge(records, protocol, baseline_ms)
    rows = [table_row(identifier, arch, attempts[identifier], protocol) for identifier, arch, _ in probes]
    if flagged := sum(not row["usable"] for row in rows):
        _log.warning("%s: %d of %d probes are flagged as not usable", device, flagged, len(rows))
    timed = references(records)
    info = {
        "device": device.name,
        "identity": identity,
        "protocol": asdict(protocol),
        "made_from": made_from,
        "baseline_ms": baseline_ms or (median(timed) if timed else None),
        "flagged": flagged,
        "sessions": _sessions(records),
    }
    return rows, info


def _key(runner: Runner, reference: bytes, made_from: str) -> dict[str, str]:
    models = hashlib.sha256(reference).hexdigest() + made_from
    return {
        "protocol": runner.protocol.digest,
        "runner": str(runner.hello["runner"]),
        "device": digest(runner.identity),
        "models": hashlib.sha256(models.encode()).hexdigest()[:12],
    }


def _is_possible(record: Mapping[str, Any]) -> bool:
    """Whether a record is of a timing that a device can give; versions before this one wrote others down."""
    from foxnas.device.schema import checked_row

    try:
        if record["kind"] in ("probe", "reference"):
            checked_row(record["row"], 0.0, math.inf)
    except Implausible:
        return False
    return True


def _sessions(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sessions: list[dict[str, Any]] = []
    now: dict[str, Any] = {}  # of a session whose own line is damaged, nothing is known
    last: dict[str, dict[str, Any]] = {}  # by probe, the session that timed it last
    for record in records:
        if record["kind"] == "session":
            now = {"started": record["started"], **record["hello"], "timings": 0, "references_ms": [], "during": {}}
            sessions.append(now)
        elif not now:
            continue
        elif record["kind"] == "reference":
            now["references_ms"] += references([record])
            _widen(now["during"], record["row"])
        elif record["kind"] == "probe":
            now["timings"] += 1
            last[record["id"]] = now
            _widen(now["during"], record["row"])
        elif record["kind"] == "end":
            now["state_after"] = record["state"]
            now = {}
    return [{**one, "probes": sum(of is one for of in last.values())} for one in sessions]


def _widen(ranges: dict[str, list[float]], row: Mapping[str, Any]) -> None:
    """Take a timing's clock and temperature into the session's smallest and largest."""
    for name in ("clock_mhz", "temperature_c"):
        if (value := row.get(name)) is not None:
            low, high = ranges.get(name, (value, value))
            ranges[name] = [min(low, value), max(high, value)]


class _Measurement:
    """One session's passes over the probes that are not settled yet."""

    def __init__(self, runner: Runner, book: Journal, reference: bytes, baseline_ms: float | None) -> None:
        self._runner, self._book, self._reference, self._baseline_ms = runner, book, reference, baseline_ms

    def run(self, probes: Sequence[Probe], rng: np.random.Generator) -> None:
        device, repeats = self._runner.device, self._runner.protocol.repeats
        todo = self._unsettled(probes, rng)
        if not todo:
            return
        if len(todo) < len(probes):
            _log.info("%s: %d of %d probes are measured already", device, len(probes) - len(todo), len(probes))
        hello = {name: value for name, value in self._runner.hello.items() if name not in ("type", "size")}
        hello["state_before"] = hello.pop("state")
        started = as_text(datetime.now(UTC))
        self._book.append({"kind": "session", "started": started, "hello": hello})
        number = 0
        while todo:
            number += 1
            self._one_pass(todo, f"pass {number} of {repeats}" if number <= repeats else f"pass {number}, repeats")
            todo = self._unsettled(probes, rng)
        self._book.append({"kind": "end", "state": self._runner.state()})

    def _unsettled(self, probes: Sequence[Probe], rng: np.random.Generator) -> list[Probe]:
        attempts = judge(self._book.records, self._runner.protocol, self._baseline_ms)
        order = [probes[i] for i in rng.permutation(len(probes))]
        return [probe for probe in order if not is_settled(attempts.get(probe[0], []), self._runner.protocol)]

    def _one_pass(self, todo: Sequence[Probe], name: str) -> None:
        followed = follow(todo, len(todo), f"probes on {self._runner.device.name}, {name}", state=self._condition)
        for position, (identifier, _, build) in enumerate(followed):
            if position % self._runner.protocol.reference_every == 0:
                self._time_reference()
            try:
                row = self._runner.measure(identifier, build())
            except NotWritten as error:
                row = {"error": str(error)}
            except RunnerDied as death:
                # It may be this model that kills it: after max_attempts the others have their turn.
                self._book.append(
                    {"kind": "probe", "id": identifier, "row": {"error": f"the runner was {death.ending}"}}
                )
                raise
            self._book.append({"kind": "probe", "id": identifier, "row": row})
        self._time_reference()

    def _condition(self) -> str:
        """Return how the device was at the latest timing, and how far off the latest reference."""
        timed = references(self._book.records)
        baseline = self._baseline_ms or median(timed)
        drift = timed[-1] / baseline - 1
        return condition(self._book.records[-1]["row"], drift, self._runner.protocol.max_drift)

    def _time_reference(self) -> None:
        try:
            row = self._runner.measure(REFERENCE, self._reference)
        except BoardRefused as refused:  # what was timed since the reference before is judged by these
            for row in refused.references:
                self._book.append({"kind": "reference", "row": row, "refused": True})
            raise
        if "error" in row:
            raise FoxnasError(f"{self._runner.device}: the reference model cannot be run: {row['error']}")
        self._book.append({"kind": "reference", "row": row})
