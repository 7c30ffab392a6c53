"""Spread of sessions and what a promise can tell apart, against scipy, brute force and the deciding rule itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from foxnas.doctor.spread import POWER, interval_percent, least_difference_percent, spread_percent
from foxnas.verdict.decision import decide, rank


def test_the_spread_is_the_coefficient_of_variation() -> None:
    medians = [1.0, 1.02, 0.99, 1.01]
    assert spread_percent(medians) == pytest.approx(100 * stats.variation(medians, ddof=1))


@pytest.mark.parametrize("sessions", [2, 5, 8, 30])
def test_the_interval_holds_the_true_spread_as_often_as_it_says(sessions: int) -> None:
    low, high = interval_percent(1.0, sessions)
    assert (sessions - 1) / low**2 == pytest.approx(stats.chi2.ppf(0.975, sessions - 1))
    assert (sessions - 1) / high**2 == pytest.approx(stats.chi2.ppf(0.025, sessions - 1))
    drawn = np.random.default_rng(0).normal(100.0, 1.0, (20_000, sessions)).std(axis=1, ddof=1)
    assert np.mean((drawn * low <= 1) & (drawn * high >= 1)) == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize(("least", "sessions"), [(5, 5), (5, 40), (6, 24)])
def test_a_model_so_far_below_its_budget_is_kept_nine_times_in_ten(least: int, sessions: int) -> None:
    percent = 2.0
    difference = least_difference_percent(percent, sessions, least)
    assert difference is not None
    draws = np.random.default_rng(1).normal(100 - difference, percent, (2_000, sessions))
    kept = [decide(list(one), 100.0, [1.0] * sessions, None, least).state == "kept" for one in draws]
    assert np.mean(kept) == pytest.approx(POWER, abs=0.02)


def test_where_nothing_may_be_decided_there_is_no_difference() -> None:
    assert rank(3, 3)[0] == 0
    assert least_difference_percent(1.0, 3, 3) is None


def test_more_sessions_tell_smaller_differences_apart() -> None:
    found = [least_difference_percent(1.0, n, 5) for n in (5, 10, 20, 40)]
    assert found == sorted(found, reverse=True)
