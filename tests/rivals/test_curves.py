"""Curves between models: closed forms at equal latency and at equal accuracy, and what the images say."""

import numpy as np
import pytest

from foxnas.rivals.curves import accuracy_at, frontier, latency_at, resampled

MS = np.array([1.0, 2.0, 4.0])
CURVE = np.array([[50.0, 60.0, 80.0]])


@pytest.mark.parametrize(
    ("at_ms", "accuracy"), [(1.0, 50.0), (1.5, 55.0), (2.0, 60.0), (3.0, 70.0), (4.0, 80.0), (9.0, 80.0)]
)
def test_accuracy_is_linear_between_points_and_constant_after_the_slowest(at_ms: float, accuracy: float) -> None:
    assert accuracy_at(MS, CURVE, at_ms) == pytest.approx([accuracy])


def test_nothing_is_as_fast_as_what_is_faster_than_the_fastest() -> None:
    assert np.isnan(accuracy_at(MS, CURVE, 0.99)).all()


@pytest.mark.parametrize(
    ("level", "latency_ms"), [(20.0, 1.0), (50.0, 1.0), (55.0, 1.5), (60.0, 2.0), (70.0, 3.0), (80.0, 4.0)]
)
def test_latency_is_the_least_at_which_an_accuracy_is_reached(level: float, latency_ms: float) -> None:
    assert latency_at(MS, CURVE, np.array([level])) == pytest.approx([latency_ms])


def test_an_accuracy_that_no_point_has_takes_for_ever() -> None:
    assert np.isinf(latency_at(MS, CURVE, np.array([80.1]))).all()


def test_where_a_resample_makes_a_curve_dip_the_first_crossing_counts() -> None:
    """Three resamples at once, one of them not monotone."""
    curves = np.array([[50.0, 70.0, 60.0], [50.0, 60.0, 80.0], [65.0, 60.0, 70.0]])
    assert latency_at(MS, curves, np.array([60.0, 70.0, 66.0])) == pytest.approx([1.5, 3.0, 3.2])


def test_the_two_directions_are_inverse_on_any_rising_curve() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        latency_ms, accuracy = np.sort(rng.uniform(1, 9, 5)), np.sort(rng.uniform(40, 90, 5))[None]
        at_ms = float(rng.uniform(latency_ms[0], latency_ms[-1]))
        assert latency_at(latency_ms, accuracy, accuracy_at(latency_ms, accuracy, at_ms)) == pytest.approx([at_ms])


def test_the_frontier_is_what_nothing_faster_equals() -> None:
    """Against the definition, with ties of both kinds."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        latency_ms, accuracy = rng.integers(1, 6, 8).astype(float), rng.integers(1, 6, 8).astype(float)
        kept = frontier(latency_ms, accuracy)
        points = list(zip(latency_ms, accuracy, strict=True))
        best = {(ms, a) for ms, a in points if not any(o != (ms, a) and o[0] <= ms and o[1] >= a for o in points)}
        assert [points[i] for i in kept] == sorted(best)


def test_resamples_spread_as_the_images_say() -> None:
    """A proportion's standard error, and a paired difference's, in closed form; the first row is no resample."""
    rng = np.random.default_rng(2)
    one = rng.random(800) < 0.8
    other = np.where(rng.random(800) < 0.1, ~one, one)
    found = resampled([one, other], 4000, np.random.default_rng(3))
    assert found.shape == (4001, 2)
    assert found[0] == pytest.approx([100 * one.mean(), 100 * other.mean()])
    share = one.mean()
    assert found[1:, 0].std() == pytest.approx(100 * np.sqrt(share * (1 - share) / 800), rel=0.05)
    paired = (one.astype(float) - other).std() / np.sqrt(800)
    assert (found[1:, 0] - found[1:, 1]).std() == pytest.approx(100 * paired, rel=0.05)
    assert paired < 0.6 * np.sqrt(2 * share * (1 - share) / 800)  # of independent images


def test_models_that_get_the_same_images_right_never_differ() -> None:
    correct = np.arange(500) % 3 > 0
    found = resampled([correct, correct], 300, np.random.default_rng(0))
    assert (found[:, 0] == found[:, 1]).all()
    assert len(np.unique(found[:, 0])) > 10
