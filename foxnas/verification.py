"""From measured candidates to a winner, and from a validated model to a verdict."""

from __future__ import annotations

from typing import Any

import pandas as pd

from foxnas.errors import FoxnasError


def choose(measured: pd.DataFrame, budget_ms: float, margin_percent: float) -> dict[str, Any]:
    """Return the row with the highest int8 top-1 whose upper latency bound is below the budget by the margin.

    Ties go to the faster model. `measured` has the columns int8_top1_percent, latency_ms and
    latency_upper_ms. Raises FoxnasError when no candidate keeps the promise, naming the closest.
    """
    cap_ms = budget_ms * (1 - margin_percent / 100)
    keeping = measured[measured["latency_upper_ms"] <= cap_ms]
    if keeping.empty:
        closest = measured.nsmallest(1, "latency_upper_ms").iloc[0]
        raise FoxnasError(
            f"none of the {len(measured)} candidates keeps the budget of {budget_ms:.4g} ms less the margin of "
            f"{margin_percent:g}%: the closest, {closest['arch']}, takes up to {closest['latency_upper_ms']:.4g} ms. "
            "Raise the budget, or add a larger value to search.reserves_percent"
        )
    ranked = keeping.sort_values(["int8_top1_percent", "latency_ms"], ascending=[False, True])
    return {str(key): value for key, value in ranked.iloc[0].to_dict().items()}


def judge(
    budget_ms: float, upper_ms: float, float_top1_percent: float, int8_top1_percent: float, max_drop_percent: float
) -> dict[str, Any]:
    """Return the verdict on a deployed model: is the latency promise kept, is the int8 loss acceptable?"""
    drop = float_top1_percent - int8_top1_percent
    return {
        "latency_kept": bool(upper_ms <= budget_ms),
        "accuracy_kept": bool(drop <= max_drop_percent),
        "slack_percent": 100 * (budget_ms - upper_ms) / budget_ms,
        "drop_percent": drop,
    }
