"""Objectives and caps: every strategy keeps them, and ends clearly when nothing does."""

import math

import numpy as np
import pytest
from published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

from foxnas.errors import FoxnasError
from foxnas.search import annealing, exact, random
from foxnas.search.annealing import AnnealingSettings
from foxnas.search.genome import Genome
from foxnas.search.landscape import Batch, Landscape
from foxnas.search.problem import Cap, Infeasible, InfeasibleBudget, Objective, SearchProblem, Selection
from foxnas.search.random import RandomSettings

STRATEGIES = [
    (annealing.search, AnnealingSettings(rounds=1, proposals_per_temperature=30)),
    (random.search, RandomSettings(draws=3000)),
]


@pytest.fixture(scope="module")
def published() -> Landscape:
    return Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY})


def layers(batch: Batch) -> np.ndarray:
    return np.array([sum(arch.depths) for arch in batch.archs], dtype=float)


AT_MOST_12_LAYERS = Cap("layers", "", 12, layers)


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES)
def test_a_cap_on_what_the_predictors_do_not_know_is_kept(published, strategy, settings):
    free = strategy(SearchProblem(published, 80.0), settings, np.random.default_rng(0))
    assert sum(free.best.arch.depths) > 12
    capped = strategy(SearchProblem(published, 80.0, caps=(AT_MOST_12_LAYERS,)), settings, np.random.default_rng(0))
    assert all(sum(c.arch.depths) <= 12 and c.latency_ms <= 80 for c in capped.candidates)
    assert capped.best.accuracy < free.best.accuracy


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES)
def test_any_function_of_predictions_and_architectures_can_be_the_objective(published, strategy, settings):
    shallow = Objective("accuracy and few layers", lambda b: b.accuracy - 0.5 * layers(b) ** 2 - b.latency_ms)
    result = strategy(SearchProblem(published, objective=shallow), settings, np.random.default_rng(0))
    assert list(result.values) == sorted(result.values, reverse=True)
    best = published.batch_of([published.point_of(result.best.arch)])
    assert result.values[0] == shallow.value(best)[0] == result.trace[-1].best
    for seed in range(3):
        drawn = published.batch(*Genome(published).decode(Genome(published).draw(200, np.random.default_rng(seed))))
        assert result.values[0] > np.median(shallow.value(drawn))


def test_exact_serves_what_lies_on_the_frontier(published):
    floor = Cap("accuracy", "%", -73.0, lambda b: -b.accuracy, monotone=True)
    fastest = Objective("latency", lambda b: -b.latency_ms, monotone=True)
    found = exact.search(
        SearchProblem(published, objective=fastest, caps=(floor,)), Selection(), np.random.default_rng()
    )
    front = exact.frontier(published)
    index = int(np.searchsorted(front.accuracy, 73.0))
    assert found.best == front.candidates[index]
    assert found.values[0] == -front.latency_ms[index]
    with pytest.raises(FoxnasError, match="accuracy, layers; take annealing"):
        exact.search(SearchProblem(published, 55.0, caps=(AT_MOST_12_LAYERS,)), Selection(), np.random.default_rng())
    impossible = Cap("accuracy", "%", -99.0, lambda b: -b.accuracy, monotone=True)
    with pytest.raises(Infeasible, match="accuracy"):
        exact.search(SearchProblem(published, 55.0, caps=(impossible,)), Selection(), np.random.default_rng())


def test_a_weighted_sum_is_maximised_on_the_frontier(published):
    """Against all weights: a sum with weights is at its best on the frontier's convex hull."""
    front = exact.frontier(published)
    for per_ms in (0.0, 0.02, 0.1, 1.0):
        weighted = Objective("weighted", lambda b, w=per_ms: b.accuracy - w * b.latency_ms, monotone=True)
        found = exact.search(SearchProblem(published, objective=weighted), Selection(), np.random.default_rng())
        assert found.values[0] == (front.accuracy - per_ms * front.latency_ms).max()


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES)
def test_impossible_caps_end_with_the_closest_architecture(published, strategy, settings):
    cap = Cap("layers", "", 9, layers)
    with pytest.raises(Infeasible, match=r"layers 10 \(limit 9\)") as outcome:
        strategy(SearchProblem(published, 80.0, caps=(cap,)), settings, np.random.default_rng())
    assert sum(outcome.value.closest.depths) == 10
    with pytest.raises(InfeasibleBudget):
        strategy(SearchProblem(published, 20.0, caps=(cap,)), settings, np.random.default_rng())


def test_a_start_is_repaired_when_no_extreme_is_feasible(published):
    """Neither the fastest nor the most accurate architecture has exactly 13 layers."""
    exactly = Cap("distance from 13 layers", "", 0.5, lambda b: np.abs(layers(b) - 13))
    problem = SearchProblem(published, 80.0, caps=(exactly,))
    result = annealing.search(problem, STRATEGIES[0][1], np.random.default_rng(0))
    assert {sum(c.arch.depths) for c in result.candidates} == {13}


def test_an_objective_that_is_no_number_is_refused(published):
    nan = Objective("root", lambda b: np.full(len(b), math.nan))
    with pytest.raises(FoxnasError, match=r"objective root of r192_.* is not a number"):
        random.search(SearchProblem(published, objective=nan), RandomSettings(draws=3), np.random.default_rng())
    short = Objective("short", lambda b: np.zeros(1))
    with pytest.raises(FoxnasError, match=r"shape \(1,\) for 3 architectures"):
        random.search(SearchProblem(published, objective=short), RandomSettings(draws=3), np.random.default_rng())


@pytest.mark.parametrize("alike", [False, True])
def test_batches_add_up_as_single_predictions_do(alike):
    landscape = Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY}, alike=alike)
    genome = Genome(landscape)
    genes = genome.draw(300, np.random.default_rng(0))
    batch = landscape.batch(*genome.decode(genes))
    for point, accuracy, latency_ms in zip(batch.points, batch.accuracy, batch.latency_ms, strict=True):
        assert landscape.predict(point) == (accuracy, latency_ms)
    sizes, classes = genome.decode(genome.encode(batch.points))
    assert (sizes == batch.sizes).all()
    assert (classes == batch.classes).all()
    for arch in batch.archs:
        assert not alike or all(len(set(unit)) == 1 for unit in arch.units)


def test_unmerged_classes_tell_multisets_apart(published):
    apart = Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY}, merged=False)
    one, other = ((3, 2), (3, 2), (7, 4)), ((3, 2), (5, 2), (5, 4))
    assert published.class_of(one) == published.class_of(other)
    assert apart.class_of(one) != apart.class_of(other)
    assert exact.frontier(apart).accuracy.tolist() == exact.frontier(published).accuracy.tolist()
