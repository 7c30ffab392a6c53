"""Which subnets to measure next: against every subset of a few, all architectures of a small space, and draws."""

import dataclasses

import numpy as np
import pytest

from foxnas.predictor.fit import fit
from foxnas.search import acquisition
from foxnas.search.acquisition import acquire, drawn_from, optima_of
from foxnas.search.agreement import gaps
from foxnas.search.goal import NO_CAPS, Caps
from foxnas.search.landscape import Landscape
from foxnas.space.costs import costs_of
from tests.support.small_problem import SMALL, everything, figures_of, random_landscape

ARCHS = everything()
CAPS_MS = [97.0, 100.0, 104.0]


@pytest.fixture(scope="module")
def sampled():
    return {
        size: [next(drawn) for _ in range(60)]
        for size in SMALL.image_sizes
        for drawn in [SMALL.sample(size, np.random.default_rng([2, size]))]
    }


@pytest.fixture(scope="module")
def landscape(sampled):
    """Accuracies fitted to noisy measurements of random predictors."""
    truth, rng = random_landscape(1), np.random.default_rng(3)
    fitted = {
        size: fit("accuracy", SMALL, size, archs, truth.accuracy[size].predict(archs).mean + rng.normal(0, 1, 60),
                  target="top1", unit="percent")
        for size, archs in sampled.items()
    }  # fmt: skip
    return Landscape(SMALL, fitted, truth.latency)


@pytest.fixture(scope="module")
def known(sampled):
    return [arch for archs in sampled.values() for arch in archs]


def test_optima_are_those_of_all_architectures(landscape) -> None:
    predicted = figures_of(ARCHS, landscape)
    found = optima_of(landscape, [-1e9, *CAPS_MS], NO_CAPS)
    assert list(found) == CAPS_MS, "what nothing keeps is left out"
    for cap_ms, arch in found.items():
        within = predicted["latency_ms"] <= cap_ms
        own = figures_of([arch], landscape)
        assert own["latency_ms"][0] <= cap_ms
        assert own["accuracy"][0] == pytest.approx(predicted["accuracy"][within].max())


def test_draws_are_of_the_posterior(landscape) -> None:
    predictor, rng = landscape.accuracy[32], np.random.default_rng(6)
    draws = [drawn_from({32: predictor}, rng)[32] for _ in range(2000)]
    values = np.array([[one.intercept, *one.coefficients] for one in draws])
    covariance = predictor.uncertainty.residual_standard_error**2 * np.array(predictor.uncertainty.unscaled_covariance)
    error = np.sqrt(np.diag(covariance))
    assert np.abs((values.mean(axis=0) - [predictor.intercept, *predictor.coefficients]) / error).max() < 0.1
    assert np.cov(values.T) / np.outer(error, error) == pytest.approx(covariance / np.outer(error, error), abs=0.15)


def test_a_landscape_of_a_draw_is_as_one_made_anew(landscape) -> None:
    drawn = drawn_from(landscape.accuracy, np.random.default_rng(7))
    shared, anew = landscape.with_accuracy(drawn), Landscape(SMALL, drawn, landscape.latency)
    assert (shared.accuracy_tables == anew.accuracy_tables).all()
    assert (shared.latency_tables_ms == anew.latency_tables_ms).all()
    assert [*optima_of(shared, CAPS_MS, NO_CAPS).values()] == [*optima_of(anew, CAPS_MS, NO_CAPS).values()]


def test_a_batch_is_new_begins_with_the_optima_and_goes_on_greedily(landscape, known) -> None:
    """Each further subnet is that of the highest mean improvement, reckoned one draw and one cap at a time."""
    measured = known[:100]
    batch = acquire(landscape, CAPS_MS, NO_CAPS, measured, 9, np.random.default_rng(8))
    assert len(batch) == len(set(batch)) == 9
    assert not set(batch) & set(measured)
    first = [arch for arch in dict.fromkeys(optima_of(landscape, CAPS_MS, NO_CAPS).values()) if arch not in measured]
    assert batch[: len(first)] == first
    assert batch[:7] == acquire(landscape, CAPS_MS, NO_CAPS, measured, 7, np.random.default_rng(8))
    rng = np.random.default_rng(8)
    draws = [drawn_from(landscape.accuracy, rng) for _ in range(acquisition.DRAWS)]

    def worth(archs):
        return [figures_of(archs, Landscape(SMALL, draw, landscape.latency))["accuracy"] for draw in draws]

    rivals = [arch for draw in draws for arch in optima_of(landscape.with_accuracy(draw), CAPS_MS, NO_CAPS).values()]
    rivals = [arch for arch in dict.fromkeys(rivals) if arch not in measured and arch not in first]
    every = [*measured, *batch, *rivals]
    values, latency_ms = np.array(worth(every)), figures_of(every, landscape)["latency_ms"]

    def expected(count, further=()):
        rows = [*range(len(measured) + count), *further]
        total = 0.0
        for of_draw in values:
            for cap_ms in CAPS_MS:
                total += max(of_draw[row] for row in rows if latency_ms[row] <= cap_ms)
        return total

    for taken in range(len(first), 9):
        reached = expected(taken + 1)
        others = range(len(measured) + 9, len(every))
        assert reached >= max(expected(taken, [row]) for row in list(others)[::7]) - 1e-6


def test_what_is_known_for_sure_is_not_measured_again(landscape, known) -> None:
    """Without variance every draw has the same optima, and there is nothing to improve beyond them."""
    sure = {
        size: dataclasses.replace(one, uncertainty=dataclasses.replace(one.uncertainty, residual_standard_error=0.0))
        for size, one in landscape.accuracy.items()
    }
    certain = landscape.with_accuracy(sure)
    optima = list(dict.fromkeys(optima_of(certain, CAPS_MS, NO_CAPS).values()))
    assert acquire(certain, CAPS_MS, NO_CAPS, known, 9, np.random.default_rng(9)) == [
        arch for arch in optima if arch not in known
    ]
    assert acquire(certain, CAPS_MS, NO_CAPS, [*known, *optima], 9, np.random.default_rng(9)) == []


def test_every_acquired_subnet_keeps_the_caps(landscape, known) -> None:
    limit = int(np.median([costs_of(SMALL, arch).parameters for arch in known]))
    batch = acquire(landscape, CAPS_MS, Caps(max_parameters=limit), known, 5, np.random.default_rng(10))
    assert batch
    assert all(costs_of(SMALL, arch).parameters <= limit for arch in batch)
    assert figures_of(batch, landscape)["latency_ms"].max() <= max(CAPS_MS)


def test_gaps_are_between_the_optimum_and_the_best_measured_that_is_as_fast(landscape, known) -> None:
    measured = np.random.default_rng(11).normal(50, 1, len(known))
    found = optima_of(landscape, CAPS_MS, NO_CAPS)
    latency_ms = figures_of(known, landscape)["latency_ms"]
    expected = [
        figures_of([arch], landscape)["accuracy"][0] - max(measured[latency_ms <= cap_ms])
        for cap_ms, arch in found.items()
    ]
    assert gaps(landscape, CAPS_MS, list(found.values()), known, measured) == pytest.approx(expected)
    slow = [arch for arch, ms in zip(known, latency_ms, strict=True) if ms > CAPS_MS[0]]
    assert gaps(landscape, CAPS_MS[:1], [found[CAPS_MS[0]]], slow, np.zeros(len(slow)))[0] == np.inf
