"""Deployed models against networks: numbers by hand, intervals against the normal ones, and what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from foxnas.rivals.comparison import Comparison, Point, best_within, compare
from foxnas.verdict.baselines import paired_difference

IMAGES = 1000


def point(name: str, size: int, latency_ms: float, percent: float, verify: float | None = None) -> Point:
    """A model that gets the first images right."""
    correct = np.arange(IMAGES) < 10 * percent
    return Point(name, size, latency_ms, percent if verify is None else verify, correct)


def only(ours: list[Point], theirs: list[Point], budget_ms: float, budget: str = "p50") -> Comparison:
    found = compare({one.name: one for one in ours}, {"net": theirs}, {budget: budget_ms})
    return next(one for one in found if one.budget == budget)


NET = [point("net", 96, 4.0, 70.0), point("net", 128, 8.0, 80.0), point("net", 160, 12.0, 84.0)]


def test_numbers_by_hand() -> None:
    """Ours at 6 ms has 82%; the budget is 9 ms, so that the network's best is 80% at 8 ms."""
    ours = [point("p25", 96, 3.0, 76.0), point("p50", 128, 6.0, 82.0)]
    found = only(ours, NET, 9.0)
    assert (found.within, found.remarks) == (128, ())
    # At 6 ms, half way between 4 and 8 ms, the network has 75%.
    assert found.lead.value == pytest.approx(2.0)
    assert found.lead_at_latency.value == pytest.approx(7.0)
    # Our curve has 80% at 3 + 3 * 4 / 6 = 5 ms, of 8: 37.5% less. The network has 82% at 10 ms: we need 40% less.
    assert found.saving_at_its_accuracy.value == pytest.approx(37.5)
    assert found.saving_at_our_accuracy.value == pytest.approx(40.0)
    for estimate in (found.lead, found.lead_at_latency, found.saving_at_its_accuracy, found.saving_at_our_accuracy):
        assert estimate.lower < estimate.value < estimate.upper


def test_the_interval_of_a_lead_is_the_paired_one() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(2000) < 0.9, rng.random(2000) < 0.88
    found = only([Point("p50", 96, 5.0, 90.0, ours)], [Point("net", 96, 5.0, 88.0, theirs)], 5.0)
    normal = paired_difference(ours, theirs[None])
    assert found.lead.value == pytest.approx(normal.points)
    assert (found.lead.lower, found.lead.upper) == pytest.approx((normal.lower, normal.upper), abs=0.15)
    assert found.lead == found.lead_at_latency


def test_a_network_that_is_ours_is_neither_ahead_nor_behind() -> None:
    found = only([point("p50", 96, 4.0, 70.0)], NET[:1], 4.0)
    for estimate in (found.lead, found.lead_at_latency, found.saving_at_its_accuracy, found.saving_at_our_accuracy):
        assert (estimate.value, estimate.lower) == (0.0, 0.0)
    assert found.lead.upper == 0.0
    assert found.remarks == ()


def test_the_size_within_a_budget_is_chosen_on_the_verify_split() -> None:
    """The slower size has more on the test images, which choose nothing."""
    theirs = [point("net", 96, 4.0, 70.0, verify=75.0), point("net", 128, 8.0, 80.0, verify=74.0)]
    assert best_within(theirs, 9.0) is theirs[0]
    assert best_within(theirs, 3.9) is None
    found = only([point("p50", 96, 6.0, 72.0)], theirs, 9.0)
    assert found.within == 96
    # The slower size is on no curve either.
    assert found.lead_at_latency.value == pytest.approx(2.0)
    assert found.saving_at_our_accuracy is None


def test_what_is_missing_is_said() -> None:
    slow = only([point("p50", 96, 2.0, 60.0)], NET, 3.0)
    assert slow.within is None
    assert slow.lead is slow.lead_at_latency is slow.saving_at_its_accuracy is None
    assert slow.remarks == (
        "no image size of net is within the budget: the fastest, 96 px, takes 4 ms",
        "no image size of net is as fast as ours, 2 ms",
        "the fastest image size of net has more than our 60.00% already",
    )
    # Whatever is less accurate than its fastest point, the network does at that.
    assert slow.saving_at_our_accuracy.value == pytest.approx(50.0)
    better = only([point("p50", 96, 6.0, 90.0)], NET, 9.0)
    assert better.saving_at_our_accuracy is None
    assert better.remarks == (
        "our fastest model has more than the 80.00% of net already",
        "no image size of net reaches our 90.00%",
    )
    worse = only([point("p50", 96, 6.0, 65.0)], NET, 9.0)
    assert worse.saving_at_its_accuracy is None
    assert worse.remarks == (
        "none of our models reaches the 80.00% of net within the budget",
        "the fastest image size of net has more than our 65.00% already",
    )
    far = only([point("p50", 96, 6.0, 83.0)], NET, 9.0)
    assert far.saving_at_its_accuracy.value == pytest.approx(25.0)
    assert far.remarks == ("our fastest model has more than the 80.00% of net already",)


def test_an_end_that_images_leave_open_is_none() -> None:
    """Ours is as good as the network's best: in half of the resamples the network does not reach it."""
    rng = np.random.default_rng(1)
    top = Point("net", 160, 12.0, 84.0, rng.permutation(NET[2].correct))
    found = only([Point("p50", 96, 6.0, 84.0, rng.permutation(NET[2].correct))], [*NET[:2], top], 12.0)
    assert found.saving_at_our_accuracy.value == pytest.approx(50.0)
    assert found.saving_at_our_accuracy.upper is None
    assert found.saving_at_its_accuracy.lower is None


def test_every_budget_meets_every_network_and_the_seed_decides() -> None:
    ours = {one.name: one for one in (point("p25", 96, 3.0, 76.0), point("p50", 128, 6.0, 82.0))}
    networks = {"net": NET, "other": [replace(one, latency_ms=2 * one.latency_ms) for one in NET]}
    budgets = {"p25": 4.0, "p50": 9.0}
    found = compare(ours, networks, budgets)
    assert [(one.budget, one.network) for one in found] == [(b, n) for b in budgets for n in networks]
    assert found == compare(ours, networks, budgets)
    assert found != compare(ours, networks, budgets, seed=1)


@pytest.mark.parametrize("right", range(0, 1001, 13))
def test_a_models_accuracy_is_the_same_number_as_in_its_verdict(right: int) -> None:
    """To the last digit, as `validation.json` has it: a mean over images rounds otherwise, as for 689 of 1,000."""
    point = Point("p50", 16, 1.0, 0.0, np.arange(1000) < right)
    assert point.test_percent == 100 * right / 1000
