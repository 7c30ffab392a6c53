"""Hands a budget over to the best verified candidate that new sessions on the device confirm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

#: A candidate's new sessions: its row of the ranking (`id`, `arch`, `source`, `batch`), its latency as `ModelLatency`
#: has it, and under `decision` what they came to, as `Decision` has it.
Trial = dict[str, Any]


def confirm(
    ranked: Sequence[Mapping[str, Any]], try_one: Callable[[Mapping[str, Any]], Trial], most: int | None = None
) -> list[Trial]:
    """Return the trials of the candidates, best first, up to the first that keeps the budget; `most` so many.

    Each candidate is asked about the one promise that selection may look at: latency. Its accuracy was decided on the
    verify split; a loss that only the test split shows passes no one over, since a choice by it would make the test
    split part of the search.
    """
    trials: list[Trial] = []
    for row in ranked[:most]:
        trials.append(try_one(row))
        decision = trials[-1]["decision"]
        if decision["state"] == "kept":
            break
        log.warning("%s: %s; it is passed over: %s", row["arch"], decision["state"], decision["reason"])
    return trials


def handed_over(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the candidate that is deployed: the one confirmed, else the closest.

    The closest is the one whose upper bound is least, and among those that could not be decided, if there are any.
    """
    kept = [trial for trial in trials if trial["decision"]["state"] == "kept"]
    undecided = [trial for trial in trials if trial["decision"]["state"] == "undecided"]
    return kept[0] if kept else min(undecided or trials, key=lambda trial: float(trial["decision"]["upper"]))


def summarised(trial: Trial) -> dict[str, Any]:
    """Return what a verdict says of a candidate that was tried."""
    latency, decision = trial["latency"], trial["decision"]
    return {
        **{name: trial[name] for name in ("id", "arch", "source", "batch")},
        **{name: latency[name] for name in ("median_ms", "session_medians_ms", "sessions_redone")},
        **{f"{side}_ms": decision[side] for side in ("lower", "upper")},
        "verdict": decision["state"],
        "reason": decision["reason"],
    }
