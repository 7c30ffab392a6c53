"""Relative improvement over random architectures, against its formula."""

from __future__ import annotations

import pandas as pd
import pytest

from comparisons.strategies.against_random import FOUND_COLUMNS, relative_improvement
from foxnas.errors import FoxnasError

FOUND = pd.DataFrame(
    [
        ("exact", 0, "b", "B", 92.0, 1.0, 500, 0.0),
        ("search", 0, "a", "A", 90.0, 1.0, 1000, 0.0),
        ("search", 1, "b", "B", 92.0, 1.0, 2000, 0.0),
        ("trained", 0, "c", "C", 85.0, 0.5, 0, 60.0),
        ("trained", 1, "c", "C", 85.0, 0.5, 0, 80.0),
    ],
    columns=FOUND_COLUMNS,
)
MEASURED = pd.DataFrame({"id": ["a", "b", "c"], "top1": [88.0, 84.0, 80.0], "latency_ms": [0.9, 1.1, 0.5]})
RANDOM = pd.DataFrame({"top1": [70.0, 90.0, 99.0], "latency_ms": [0.5, 1.0, 2.0]})


def test_improvement_is_on_the_mean_random_subnet_within_the_budget() -> None:
    exact, search, trained = sorted(
        relative_improvement(FOUND, MEASURED, RANDOM, "top1", 1.0).to_dict("records"), key=lambda row: row["strategy"]
    )
    assert (search["strategy"], search["seeds"], search["architectures"]) == ("search", 2, 2)
    assert (search["predicted"], search["measured"], search["kept_percent"]) == (91.0, 86.0, 50.0)
    assert search["improvement_percent"] == pytest.approx(100 * (86 - 80) / 80)
    assert (search["smallest"], search["largest"]) == pytest.approx((5.0, 10.0))
    assert trained["improvement_percent"] == 0.0
    assert (exact["gap"], search["gap"], trained["gap"]) == (0.0, 1.0, 7.0)
    assert [(row["calls"], row["training_s"]) for row in (exact, search, trained)] == [(500, 0), (1500, 0), (0, 70)]


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(FoxnasError, match="B: was found by a strategy but not measured"):
        relative_improvement(FOUND, MEASURED[MEASURED["id"] != "b"], RANDOM, "top1", 1.0)
    with pytest.raises(FoxnasError, match=r"no random subnet was measured within 0.1 ms"):
        relative_improvement(FOUND, MEASURED, RANDOM, "top1", 0.1)
