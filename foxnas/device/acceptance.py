"""Which measurement of a probe to believe, from everything a journal holds.

A journal's records, in the order of time: ``session`` (a runner started), ``reference`` and ``probe``
(one timing each), ``end`` (the session's last words). Nothing here measures, so a verdict can be made
again, with other limits, from old records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from foxnas.device.protocol import MeasurementProtocol

#: Columns of a table of measured probes.
COLUMNS = (
    "id",
    "arch",
    "batch",
    "dtype",
    "signedness",
    "io_dtype",
    "executor",
    "latency_ms",
    "p10_ms",
    "p90_ms",
    "mad_ms",
    "runs",
    "preempted_percent",
    "attempts",
    "disagreement_percent",
    "reference_ms",
    "drift_percent",
    "fallback_operators",
    "peak_memory_mb",
    "energy_mj",
    "clock_mhz",
    "temperature_c",
    "usable",
    "reason",
)

#: Further columns where the device is a rack: the boards of the timings that are believed, and the latency as it was
#: timed there.
RACK_COLUMNS = ("board", "board_latency_ms")

#: A further column for those who ask: the least tenth percentile of all timings of a probe, also of those that are not
#: believed, which a disturbance can only raise: what the model takes undisturbed.
UNDISTURBED = "undisturbed_ms"

#: What a model is, of which every timing says the same; None where the device does not tell.
FACTS = ("batch", "dtype", "signedness", "io_dtype", "executor", "fallback_operators")

_AVERAGED = ("latency_ms", "p10_ms", "p90_ms", "mad_ms", "preempted_percent")
_LARGEST = ("peak_memory_mb", "temperature_c")
_AVERAGED_IF_KNOWN = ("energy_mj", "clock_mhz")


@dataclass(frozen=True)
class Attempt:
    """One timing of one probe, with the references nearest to it in time.

    `severity` says how far beyond the limits it lies, 1 being at the limit; infinite without a number.
    """

    row: Mapping[str, Any]
    reference_ms: float | None
    drift: float
    problem: str
    severity: float


def references(records: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return the medians of all reference timings, in ms, but for those by which a board of a rack was refused."""
    return [
        record["row"]["latency_ms"] for record in records if record["kind"] == "reference" and "refused" not in record
    ]


def judge(
    records: Sequence[Mapping[str, Any]], protocol: MeasurementProtocol, baseline_ms: float | None = None
) -> dict[str, list[Attempt]]:
    """Return every probe's attempts in order, each with its verdict.

    The drift of an attempt is the median of the references nearest to it in its own session, two before
    and two after (one of them may have met a disturbance of its own), relative to `baseline_ms`; without
    one, to the median of all references recorded. Over a resumed journal that shows a session which ran
    at another clock than the rest.

    A board of a rack may become slow and be lost before a reference shows it, and the next session may be another
    board's: what it timed after its last reference is no attempt.
    """
    known = references(records)
    baseline = baseline_ms or (median(known) if known else None)
    attempts: dict[str, list[Attempt]] = {}
    for position, record in enumerate(records):
        if record["kind"] == "probe" and not _is_open(records, position):
            near = _nearest_references(records, position)
            reference_ms = median(near) if near else None
            drift = reference_ms / baseline - 1 if reference_ms and baseline else 0.0
            attempts.setdefault(record["id"], []).append(
                Attempt(record["row"], reference_ms, drift, *verdict(record["row"], drift, protocol))
            )
    return attempts


def _nearest_references(records: Sequence[Mapping[str, Any]], position: int, each_side: int = 2) -> list[float]:
    near = []
    for walk in (range(position, -1, -1), range(position, len(records))):
        found = 0
        for record in (records[i] for i in walk):
            if record["kind"] == "reference":
                near.append(record["row"]["latency_ms"])
                found += 1
            if found == each_side or record["kind"] in ("session", "end"):
                break
    return near


def _is_open(records: Sequence[Mapping[str, Any]], position: int) -> bool:
    """Return whether a timing of a rack is one that no reference of its session follows."""
    row = records[position]["row"]
    if "board" not in row or "error" in row:
        return False
    later = (records[i]["kind"] for i in range(position + 1, len(records)))
    return next((kind for kind in later if kind != "probe"), None) != "reference"


def verdict(row: Mapping[str, Any], drift: float, protocol: MeasurementProtocol) -> tuple[str, float]:
    """Return what is wrong with one timing, empty if nothing is, and its severity."""
    if "error" in row:
        return f"cannot be run: {row['error']}", float("inf")
    checks = (
        (row["mad_ms"] / row["latency_ms"], protocol.max_relative_mad, "runs spread by {:.1f}%"),
        (row["preempted_percent"] / 100, protocol.max_preempted, "another process took the CPU in {:.0f}% of runs"),
        (drift, protocol.max_drift, "references drifted by {:+.1f}%"),
    )
    problems = [
        f"{what.format(100 * value)} (limit {100 * limit:g}%)" for value, limit, what in checks if abs(value) > limit
    ]
    if row["runs"] < protocol.min_runs:
        problems.append(f"only {row['runs']} of {protocol.min_runs} runs within {protocol.max_time_ms:g} ms")
    if row.get("throttled"):
        problems.append(f"the board reports: {row['throttled']}")
    return "; ".join(problems), max(abs(value) / limit for value, limit, _ in checks)


def is_settled(attempts: Sequence[Attempt], protocol: MeasurementProtocol) -> bool:
    """Return whether a probe needs no further timing."""
    return len(attempts) >= protocol.max_attempts or not _choose(attempts, protocol)[1]


def _choose(attempts: Sequence[Attempt], protocol: MeasurementProtocol) -> tuple[Sequence[Attempt], str]:
    """Return the attempts to believe, and what is wrong with them.

    Among the acceptable ones, the `repeats` that agree best. If too few are acceptable, the one least
    beyond its limits.
    """
    good = sorted((a for a in attempts if not a.problem), key=lambda a: a.row["latency_ms"])
    n = protocol.repeats
    if len(good) < n:
        ranked = sorted(attempts, key=lambda a: a.severity)
        problem = next((a.problem for a in ranked if a.problem), "timed too few times")
        return ranked[:1], problem
    groups = [good[i : i + n] for i in range(len(good) - n + 1)]
    closest = min(groups, key=_disagreement)
    if (found := _disagreement(closest)) > protocol.max_disagreement:
        return closest, f"timings disagree by {100 * found:.1f}% (limit {100 * protocol.max_disagreement:g}%)"
    return closest, ""


def _disagreement(attempts: Sequence[Attempt]) -> float:
    values = [a.row["latency_ms"] for a in attempts]
    return (max(values) - min(values)) / fmean(values)


def table_row(identifier: str, arch: str, attempts: Sequence[Attempt], protocol: MeasurementProtocol) -> dict[str, Any]:
    """Return one row with the names of `COLUMNS`, and `UNDISTURBED`; None where there is no number.

    Times, energy and clock are means over the attempts that are believed, runs their sum, memory and
    temperature their largest.
    """
    chosen, problem = _choose(attempts, protocol)
    timed = [a for a in chosen if "error" not in a.row]
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    if timed:
        row |= {name: fmean(a.row[name] for a in timed) for name in _AVERAGED}
        row["runs"] = sum(a.row["runs"] for a in timed)
        row["disagreement_percent"] = 100 * _disagreement(timed) if len(timed) > 1 else None
        row |= {name: timed[0].row.get(name) for name in FACTS}
        row |= {name: _of_known(max, name, timed) for name in _LARGEST}
        row |= {name: _of_known(fmean, name, timed) for name in _AVERAGED_IF_KNOWN}
    if boards := dict.fromkeys(a.row["board"] for a in chosen if "board" in a.row):
        row |= {"board": " ".join(boards), "board_latency_ms": _of_known(fmean, "board_latency_ms", timed)}
    near = [a.reference_ms for a in chosen if a.reference_ms is not None]
    run = [a.row["p10_ms"] for a in attempts if "error" not in a.row]
    return row | {
        UNDISTURBED: min(run, default=None),
        "id": identifier,
        "arch": arch,
        "attempts": len(attempts),
        "reference_ms": fmean(near) if near else None,
        "drift_percent": 100 * fmean(a.drift for a in chosen),
        "usable": not problem,
        "reason": problem,
    }


def _of_known(summary: Callable[[list[float]], float], name: str, attempts: Sequence[Attempt]) -> float | None:
    values = [a.row[name] for a in attempts if a.row.get(name) is not None]
    return summary(values) if values else None
