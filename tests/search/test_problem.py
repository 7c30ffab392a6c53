"""Objectives and caps: every strategy keeps them, and ends clearly when nothing does."""

import math
from itertools import pairwise

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Batch, Landscape
from foxnas.search.problem import Cap, Infeasible, InfeasibleBudget, Objective, SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, autoshrink, differentiable, evolution, exact, random, regularised
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.autoshrink import AutoShrinkSettings
from foxnas.search.strategies.differentiable import DifferentiableSettings
from foxnas.search.strategies.evolution import EvolutionSettings
from foxnas.search.strategies.genome import Genome
from foxnas.search.strategies.random import RandomSettings
from foxnas.search.strategies.regularised import RegularisedSettings
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

STRATEGIES = [
    (annealing.search, AnnealingSettings(rounds=1, proposals_per_temperature=30)),
    (evolution.search, EvolutionSettings(population=40, generations=20)),
    (regularised.search, RegularisedSettings(population=40, cycles=100)),
    (autoshrink.search, AutoShrinkSettings(calls=4000)),
    (differentiable.search, DifferentiableSettings(steps=150)),
    (random.search, RandomSettings(draws=3000)),
]


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
def test_an_impossible_budget_ends_with_the_fastest_architecture(published, strategy, settings):
    with pytest.raises(InfeasibleBudget, match="raise the budget") as outcome:
        strategy(SearchProblem(published, 20.0), settings, np.random.default_rng(0))
    assert outcome.value.fastest == exact.frontier(published).candidates[0].arch


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES)
def test_a_budget_that_only_the_fastest_meets_is_met(published, strategy, settings):
    fastest = exact.frontier(published).candidates[0]
    result = strategy(SearchProblem(published, fastest.latency_ms), settings, np.random.default_rng(0))
    assert [c.arch for c in result.candidates] == [fastest.arch]


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES)
@pytest.mark.parametrize("alike", [False, True])
def test_candidates_and_trace_keep_their_promises(strategy, settings, alike):
    landscape = Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY}, alike=alike)
    one, same, other = (
        strategy(SearchProblem(landscape, 65.0), settings, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert one == same
    assert one.trace != other.trace
    assert len({landscape.point_of(c.arch) for c in one.candidates}) == len(one.candidates)
    assert [c.accuracy for c in one.candidates] == sorted((c.accuracy for c in one.candidates), reverse=True)
    for c in one.candidates:
        CPU_SPACE.validate(c.arch)
        assert c.latency_ms <= 65
        assert not alike or all(len(set(unit)) == 1 for unit in c.arch.units)
    assert one.trace[-1].best == one.best.accuracy
    assert all(a.best <= b.best and a.calls <= b.calls for a, b in pairwise(one.trace))
    assert one.trace[-1].calls <= one.calls
    optimum = exact.frontier(landscape).best_under(65.0)
    assert one.best.accuracy <= optimum.accuracy


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES[:-1])
def test_every_strategy_comes_nearer_than_random_search(published, strategy, settings):
    problem = SearchProblem(published, 55.0)
    found = strategy(problem, settings, np.random.default_rng(0))
    drawn = random.search(problem, RandomSettings(draws=found.calls), np.random.default_rng(0))
    assert found.best.accuracy > drawn.best.accuracy


@pytest.mark.parametrize(("strategy", "settings"), STRATEGIES[:-1])
def test_impossible_caps_end_with_the_closest_architecture(published, strategy, settings):
    cap = Cap("layers", "", 9, layers)
    with pytest.raises(Infeasible, match=r"layers 10 \(limit 9\)") as outcome:
        strategy(SearchProblem(published, 80.0, caps=(cap,)), settings, np.random.default_rng())
    assert sum(outcome.value.closest.depths) == 10
    with pytest.raises(InfeasibleBudget):
        strategy(SearchProblem(published, 20.0, caps=(cap,)), settings, np.random.default_rng())


def test_the_relaxation_follows_the_objective_and_monotone_caps(published):
    """Fastest at an accuracy of at least 73%: the frontier's point, found by gradients through both."""
    floor = Cap("accuracy", "%", -73.0, lambda b: -b.accuracy, monotone=True)
    fastest = Objective("latency", lambda b: -b.latency_ms, monotone=True)
    problem = SearchProblem(published, objective=fastest, caps=(floor,))
    optimum = exact.search(problem, Selection(), np.random.default_rng()).best
    found = differentiable.search(problem, DifferentiableSettings(), np.random.default_rng(0)).best
    assert found.accuracy >= 73
    assert optimum.latency_ms <= found.latency_ms < optimum.latency_ms * 1.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: EvolutionSettings(generations=0), "generations 0"),
        (lambda: EvolutionSettings(parent_share=0.001), "is nobody"),
        (lambda: EvolutionSettings(mutated_share=1.5), "mutated_share"),
        (lambda: RegularisedSettings(sample=101), "more than the population"),
        (lambda: DifferentiableSettings(rate=0.0), "rate"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(FoxnasError, match=message):
        settings()


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
