"""Which architecture is proposed where nothing can be measured of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from foxnas.verdict.proposals import PREDICTED, propose

BUDGET = {"name": "10ms", "budget_ms": 10.0}


def searched(uppers: dict[float, float]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Candidates and certificates of searches with these reserves, and the upper ends of their best's latency."""
    rows = [(f"id{r}", f"arch{r}", 70 - r, 69 - r, 71 - r, 10 - r / 10, 9.0, upper) for r, upper in uppers.items()]
    others = [("other", "other", 99.0, 98.0, 100.0, 1.0, 1.0, 1.0)]  # of the tables, not found by a search
    found = [{"reserve_percent": r, "found": f"arch{r}", "gap": 0.0} for r in uppers]
    return pd.DataFrame([*rows, *others], columns=list(PREDICTED)), found


@pytest.mark.parametrize(
    ("uppers", "reserve", "within"),
    [
        ({3.0: 9.9, 6.0: 9.5}, 3.0, True),  # the smallest reserve will do
        ({6.0: 9.8, 3.0: 10.1, 10.0: 9.0}, 6.0, True),  # whatever the order of the config
        ({3.0: 10.0}, 3.0, True),  # the limit itself is within
        ({3.0: 11.0, 10.0: 10.3}, 10.0, False),  # none is: the most cautious one
    ],
)
def test_the_smallest_reserve_whose_interval_is_within_is_taken(
    uppers: dict[float, float], reserve: float, within: bool
) -> None:
    found = propose(BUDGET, *searched(uppers))
    assert (found["budget"], found["budget_ms"]) == ("10ms", 10.0)
    assert found["proposed"]["reserve_percent"] == reserve
    assert found["proposed"]["interval_within_budget"] is within
    assert found["proposed"]["arch"] == f"arch{reserve}"
    assert [one["reserve_percent"] for one in found["optima"]] == sorted(uppers)
