"""Ranks the measured candidates that keep the promise, and judges the validated model."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_table
from foxnas.int8.scored import COLUMNS, Measure
from foxnas.search.goal import MOST_ACCURATE, NO_CAPS, Caps, Goal
from foxnas.space.costs import COSTS
from foxnas.verdict.decision import Decision, decide, is_divided
from foxnas.verdict.ranking import figures

log = logging.getLogger(__name__)

#: Of the table of exported candidates.
EXPORTED_COLUMNS = ["id", "arch", "source", "float_top1_percent", *COLUMNS.values(), "model_bytes"]


class NoneKeeps(FoxnasError):
    """No candidate keeps the promise; `closest` is the row of the one that misses it least."""

    def __init__(self, message: str, closest: dict[str, Any]) -> None:
        super().__init__(message)
        self.closest = closest


def measurements(exported: Sequence[Path], latencies: Sequence[Path]) -> pd.DataFrame:
    """Return what was measured of all candidates, batch by batch: int8 top-1 and probability, and the file's latency.

    The files of a batch stand at the same place in both lists, and the folder they share names it. A candidate that
    was not timed, because the device's compiler refused it, is left out with a warning. Raises FoxnasError when
    none was timed.
    """
    batches = []
    for table, timed in zip(exported, latencies, strict=True):
        rows = read_table(table, EXPORTED_COLUMNS)
        models = read_json(timed)["models"]
        untimed = ~rows["id"].isin(list(models))
        for arch in rows.loc[untimed, "arch"]:
            log.warning("%s: %s was not timed, and cannot be deployed", timed, arch)
        rows = rows[~untimed]
        batches.append(
            rows.assign(
                batch=table.parent.name,
                latency_ms=[models[name]["median_ms"] for name in rows["id"]],
                latency_upper_ms=[models[name]["upper_ms"] for name in rows["id"]],
            )
        )
    timed_batches = [rows for rows in batches if len(rows)]
    if not timed_batches:
        raise FoxnasError(
            f"{', '.join(map(str, latencies))}: no candidate was timed; delete the files and run again, "
            "or see in the logs of their batches why none could be"
        )
    return pd.concat(timed_batches, ignore_index=True)


def measured_costs(measured: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Return the measured candidates with their costs: the file's real size, and what is counted of the rest."""
    counted = predicted.drop_duplicates("id")[["id", *(name for name in COSTS if name != "int8_bytes")]]
    return measured.merge(counted, on="id", how="left").assign(int8_bytes=lambda rows: rows["model_bytes"])


def rank(
    measured: pd.DataFrame,
    budget_ms: float,
    margin_percent: float,
    goal: Goal = MOST_ACCURATE,
    caps: Caps = NO_CAPS,
    by: Measure = "top1",
) -> pd.DataFrame:
    """Return the rows whose upper latency bound is below the budget by the margin, best first, as the goal has it.

    Only rows that keep the caps and the goal's accuracy floor, an int8 top-1, compete, by what was measured: `by`,
    which the goal takes for accuracy, median latency and, for the cap on the file, its real size. Ties go to the
    faster model. `measured` has the columns int8_top1_percent, that of `by`, latency_ms and latency_upper_ms, and those
    of the costs that caps or goal look at. Raises NoneKeeps when no candidate keeps the promise, naming the closest.
    """
    cap_ms = budget_ms * (1 - margin_percent / 100)
    fast = (measured["latency_upper_ms"] <= cap_ms).to_numpy()
    if not fast.any():
        closest = measured.nsmallest(1, "latency_upper_ms").iloc[0]
        raise NoneKeeps(
            f"none of the {len(measured)} candidates keeps the budget of {budget_ms:.4g} ms less the margin of "
            f"{margin_percent:g}%: the closest, {closest['arch']}, takes up to {closest['latency_upper_ms']:.4g} ms. "
            "Raise the budget, or add a larger value to search.reserves_percent",
            {str(key): value for key, value in closest.to_dict().items()},
        )
    seen = figures(measured, "int8_top1_percent")
    keeping = measured[fast & goal.admits(seen, caps)]
    if keeping.empty:
        closest = measured[fast].nlargest(1, "int8_top1_percent").iloc[0]
        wanted = [f"{name} {limit}" for name, limit in caps.limits.items()]
        if goal.accuracy_floor is not None:
            wanted.append(f"an int8 top-1 of {goal.accuracy_floor:g}%")
        raise NoneKeeps(
            f"of the {int(fast.sum())} candidates within the budget none keeps {', '.join(wanted)}: the most accurate, "
            f"{closest['arch']}, has {closest['int8_top1_percent']:.4g}%. Loosen search.objective or search.caps, or "
            "add a larger value to search.reserves_percent",
            {str(key): value for key, value in closest.to_dict().items()},
        )
    score = goal.scores(figures(keeping, COLUMNS[by]))
    return keeping.iloc[np.lexsort((keeping["latency_ms"], -score))]


def choose(
    measured: pd.DataFrame,
    budget_ms: float,
    margin_percent: float,
    goal: Goal = MOST_ACCURATE,
    caps: Caps = NO_CAPS,
    by: Measure = "top1",
) -> dict[str, Any]:
    """Return the first row of `rank`, which raises NoneKeeps likewise."""
    best = rank(measured, budget_ms, margin_percent, goal, caps, by).iloc[0]
    return {str(key): value for key, value in best.to_dict().items()}


def latency_of(timed: Mapping[str, Any], baseline_ms: float | None, budget_ms: float, least_sessions: int) -> Decision:
    """Return whether the model of an entry of `ModelLatency.to_json` keeps a budget, and what to do where it is open.

    `baseline_ms` is what the device's reference model usually takes; see `decide`.
    """
    redone, medians = timed["sessions_redone"], timed["session_medians_ms"]
    if timed["disturbed"]:
        found = Decision("undecided", min(medians), max(medians), "too few sessions were undisturbed")
    else:
        found = decide(medians, budget_ms, timed["reference_medians_ms"], baseline_ms, least_sessions)
    if found.state != "undecided":
        return found
    # The most frequent disturbance, without its figures.
    kinds = Counter(re.sub(r" by .*| in .*| \(.*", "", one["reason"]) for one in redone)
    met = f"; {len(redone)} sessions were disturbed, most often: {kinds.most_common(1)[0][0]}" if redone else ""
    if not timed["disturbed"] and is_divided(medians, budget_ms, timed["reference_medians_ms"], baseline_ms):
        advice = (
            ". More such sessions would not tell: validate again when the device runs as it did then, or sample it anew"
        )
    else:
        advice = ". Quieten the device, or raise validation.most_sessions, and validate again"
    return replace(found, reason=found.reason + met + advice)


def judge(
    budget_ms: float, latency: Decision, accuracy: Decision, float_top1_percent: float, int8_top1_percent: float
) -> dict[str, Any]:
    """Return the verdict on a deployed model: is the latency promise kept, is the int8 loss acceptable?"""
    return {
        "latency_kept": latency.state == "kept",
        "accuracy_kept": accuracy.state == "kept",
        "slack_percent": 100 * (budget_ms - latency.upper) / budget_ms,
        "drop_percent": float_top1_percent - int8_top1_percent,
        "latency_verdict": latency.state,
        "latency_lower_ms": latency.lower,
        "latency_upper_ms": latency.upper,
        "latency_reason": latency.reason,
        "accuracy_verdict": accuracy.state,
        "drop_lower_percent": accuracy.lower,
        "drop_upper_percent": accuracy.upper,
        "accuracy_reason": accuracy.reason,
    }
