"""Budgets: how they are written, named, and resolved."""

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.search.budget import Budget


@pytest.mark.parametrize(
    ("value", "name"),
    [(1.5, "1.5ms"), ("1.5 ms", "1.5ms"), ("1.50ms", "1.5ms"), (20, "20ms"), ("100", "100ms"), ("p25", "p25"),
     ("P 2.5", "p2.5"), ("p100", "p100"), (0.00001, "0.00001ms")],
)  # fmt: skip
def test_name_is_safe_and_reads_back(value, name):
    budget = Budget.parse(value)
    assert budget.name == name
    assert Budget.parse(budget.name) == budget


@pytest.mark.parametrize(
    ("values", "spelling"),
    [
        (["p50", "P50", "p50.0", " P 50 "], "p50"),
        ([1.5, "1.5", "1.50 ms"], 1.5),
        ([20, 20.0, "20", "20.0ms"], 20),
        ([2**53 + 1.0, 9007199254740992], 9007199254740992),
    ],
)
def test_equal_budgets_are_spelt_alike_in_settings(values, spelling):
    for value in values:
        found = Budget.parse(value).spelling
        assert (found, type(found)) == (spelling, type(spelling))
        assert Budget.parse(found) == Budget.parse(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", "not understood.*p25"),
        (True, "not understood"),
        (None, "not understood"),
        (0, "above 0"),
        (-3.0, "above 0"),
        (float("nan"), "above 0"),
        ("p0", "above 0 and at most 100"),
        ("p101", "at most 100"),
        ("1500 us", r'"1.5 ms"'),
        ("2 s", r'"2000 ms"'),
        ("25%", r'write "p25"'),
        ("../x", "not understood"),
        (1e-300, "too small"),
        ("0." + "0" * 300 + "1 ms", "too small"),
    ],
)
def test_mistyped_budgets_are_refused_with_the_right_spelling(value, message):
    with pytest.raises(FoxnasError, match=message):
        Budget.parse(value)


def test_resolves_over_pooled_latencies():
    latencies = np.arange(1, 102, dtype=float).reshape(1, -1)
    assert Budget.parse("p25").resolve(latencies) == 26
    assert Budget.parse("p100").resolve(latencies) == 101
    assert Budget.parse("12.5").resolve(latencies) == 12.5
    with pytest.raises(FoxnasError, match="not above 0"):
        Budget.parse("p25").resolve([1.0, np.nan])
    with pytest.raises(FoxnasError, match="p25"):
        Budget.parse("p25").resolve([])


def test_unreachable_budget_says_the_fastest():
    budget = Budget.parse("0.5 ms")
    with pytest.raises(FoxnasError, match=r"0.5ms \(0.5 ms\).*fastest predicted one takes 0.8 ms"):
        budget.check_reachable(0.5, 0.8, "predicted")
    budget.check_reachable(0.5, 0.5)
