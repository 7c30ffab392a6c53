"""Estimates where a measured latency has sessions: one number, and the verdict that it decides.

Vela compiles a file to the same estimate every time, so nothing is repeated and no bound is taken: the verdict says
what the estimate is, and nothing of how far the silicon is from it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from foxnas.verdict.decision import Decision, state_of
from foxnas.verdict.promises import ESTIMATE


def as_latency(estimate_ms: float) -> dict[str, Any]:
    """Return an entry like those of `ModelLatency.to_json`, marked as an estimate: median and bound are its value."""
    return {
        "latency_is": ESTIMATE,
        "session_medians_ms": [estimate_ms],
        "reference_medians_ms": [],
        "sessions_redone": [],
        "disturbed": False,
        "median_ms": estimate_ms,
        "upper_ms": estimate_ms,
    }


def decide(estimate_ms: float, budget_ms: float) -> dict[str, Any]:
    """Return whether an estimate is within a budget, as a `Decision` has it; never undecided."""
    return asdict(Decision(state_of(estimate_ms, estimate_ms, budget_ms), estimate_ms, estimate_ms))
