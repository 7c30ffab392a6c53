"""Which architecture is proposed for a budget by predictions alone, where nothing can be measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the summary of a run, which loads nothing heavy, takes a word from here
    import pandas as pd

#: Under `basis` in every file of proposals, and wherever one is shown.
BASIS = "predicted, not measured"

#: What is said of a proposed architecture, as in the table of candidates.
PREDICTED = (
    "id", "arch", "accuracy", "accuracy_lower", "accuracy_upper", "latency_ms", "latency_lower_ms", "latency_upper_ms",
)  # fmt: skip


def propose(
    budget: Mapping[str, Any], candidates: pd.DataFrame, certificates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the optima of all reserves, and which of them is proposed.

    It is the one with the smallest reserve of those whose latency's whole 95% prediction interval is within the budget;
    where there is none, the one with the largest reserve.
    """
    by_arch = candidates.set_index("arch", drop=False)
    optima = []
    for one in sorted(certificates, key=lambda one: float(one["reserve_percent"])):
        row = by_arch.loc[one["found"]]
        optima.append(
            {
                **{name: row[name] for name in PREDICTED[:2]},
                **{name: float(row[name]) for name in PREDICTED[2:]},
                "reserve_percent": one["reserve_percent"],
                "gap": one["gap"],
                "interval_within_budget": bool(row["latency_upper_ms"] <= budget["budget_ms"]),
            }
        )
    proposed = next((one for one in optima if one["interval_within_budget"]), optima[-1])
    return {"budget": budget["name"], "budget_ms": budget["budget_ms"], "proposed": proposed, "optima": optima}
