"""Exact search under caps against brute force over a whole small space, and on the published problem."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foxnas.errors import FoxnasError
from foxnas.search.capped import solver
from foxnas.search.capped.frontier import frontier
from foxnas.search.capped.knapsack import Knapsack, TooManySolutions
from foxnas.search.goal import Caps, Goal
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import ClassCosts, problem_of
from foxnas.search.problem import Cap, Infeasible, InfeasibleBudget, SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, exact
from foxnas.space.costs import COSTS, costs_of
from tests.support.published import CPU_SPACE
from tests.support.small_problem import SMALL, everything, figures_of, random_landscape

ARCHS = everything()
ACCURATE = Goal.most_accurate()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 3), st.floats(0.0, 1.0))
def test_a_knapsack_lists_every_solution_above_a_value(seed: int, groups: int, rows: int, tightness: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, groups)
    # Small whole numbers make ties, which must all be listed.
    values = [rng.integers(-5, 6, n).astype(float) for n in counts]
    weights = [rng.integers(-3, 7, (n, rows)).astype(float) for n in counts]
    least, most = (sum(f(w, axis=0) for w in weights) for f in (np.min, np.max))
    capacity = np.floor(least + tightness * (most - least))
    choices = list(product(*(range(n) for n in counts)))
    feasible = {
        choice: sum(v[o] for v, o in zip(values, choice, strict=True))
        for choice in choices
        if (sum(w[o] for w, o in zip(weights, choice, strict=True)) <= capacity).all()
    }
    knapsack = Knapsack(values, weights, capacity)
    if feasible:
        best = max(feasible.values())
        assert knapsack.bound >= best
        for below in (0.0, 2.0):
            listed = {tuple(row) for row in knapsack.solutions(best - below, 10**6).tolist()}
            assert listed == {choice for choice, value in feasible.items() if value >= best - below}
        assert len(knapsack.solutions(best + 1, 10**6)) == 0
    else:
        # Proven so, or nothing is listed.
        lowest = sum(v.min() for v in values)
        assert knapsack.bound < lowest or len(knapsack.solutions(lowest, 10**6)) == 0


def test_a_listing_without_end_is_given_up() -> None:
    same = [np.zeros(10)] * 6
    with pytest.raises(TooManySolutions):
        Knapsack(same, [np.zeros((10, 1))] * 6, np.ones(1)).solutions(0.0, 1000)


@pytest.mark.parametrize("seed", range(8))
def test_capped_optima_are_those_of_brute_force(costs: dict[str, np.ndarray], seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    landscape = random_landscape(seed)
    predicted = figures_of(ARCHS, landscape)
    names = [name for name in COSTS if rng.random() < 0.6] or ["parameters"]
    caps = Caps(**{f"max_{name}": int(np.quantile(costs[name], rng.uniform(0.05, 0.6))) for name in names})
    budget_ms = float(np.quantile(predicted["latency_ms"], rng.uniform(0.1, 0.9)))
    allowed = predicted["latency_ms"] <= budget_ms
    for name, limit in caps.limits.items():
        allowed &= costs[name] <= limit
    problem = problem_of(landscape, budget_ms, ACCURATE, caps)
    proof = solver.best(problem, 5)
    if not allowed.any():
        assert proof == solver.Proof((), (), -np.inf)
        return
    assert proof.values[0] == pytest.approx(predicted["accuracy"][allowed].max(), abs=1e-9)
    assert proof.bound == proof.values[0]
    # The others are the next best, up to subnets that agree in everything that is asked for.
    rows = [predicted["accuracy"], predicted["latency_ms"], *(costs[name] for name in names)]
    distinct = np.unique(np.column_stack(rows)[allowed].round(6), axis=0)[:, 0]
    for found in proof.values:
        assert np.abs(distinct - found).min() < 1e-5
    assert proof.values[-1] >= np.sort(distinct)[-5] - 1e-5
    for point in proof.points:
        found = costs_of(SMALL, landscape_arch := problem.landscape.arch(point))
        assert all(getattr(found, name) <= limit for name, limit in caps.limits.items()), landscape_arch.text


def test_the_optimum_under_caps_can_lie_off_the_latency_accuracy_frontier(published: Landscape) -> None:
    front = exact.frontier(published)
    best = solver.best(problem_of(published, 65.0, ACCURATE, Caps(max_parameters=2_500_000)))
    within = range(front.index_under(65.0) + 1)
    kept = [i for i in within if costs_of(CPU_SPACE, published.arch(front.point(i))).parameters <= 2_500_000]
    assert best.values[0] > front.accuracy[kept].max() + 0.1


def test_without_caps_it_agrees_with_the_frontier_on_the_published_problem(published: Landscape) -> None:
    front = exact.frontier(published)
    for budget_ms in (45.0, 55.0, 65.0, 80.0):
        proof = solver.best(problem_of(published, budget_ms, ACCURATE, Caps()))
        assert proof.values[0] == pytest.approx(front.best_under(budget_ms).accuracy, abs=1e-9)


def test_a_problem_with_too_much_to_list_is_split(published: Landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(published, 65.0, ACCURATE, Caps(2_500_000, 120_000_000, 3_000_000, 800_000))
    whole = solver.best(problem)
    monkeypatch.setattr(solver, "_LIMIT", 2500)
    assert solver.best(problem) == whole
    # Without the room to do either, nothing is claimed beyond the bound.
    monkeypatch.setattr(solver, "_LIMIT", 1)
    monkeypatch.setattr(solver, "_NODES", 0)
    undecided = solver.best(problem)
    assert undecided.points == ()
    assert undecided.bound >= whole.bound


@pytest.mark.parametrize("seed", range(4))
def test_splitting_loses_nothing(costs: dict[str, np.ndarray], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    caps = Caps(
        max_parameters=int(np.quantile(costs["parameters"], 0.3)), max_macs=int(np.quantile(costs["macs"], 0.4))
    )
    problem = problem_of(random_landscape(seed), 100.0, ACCURATE, caps)
    whole = solver.best(problem)
    monkeypatch.setattr(solver, "_LIMIT", 3)
    assert solver.best(problem).values == whole.values


def test_annealing_keeps_caps_and_stays_below_the_proof(published: Landscape) -> None:
    caps = Caps(2_500_000, 120_000_000, 3_000_000, 800_000)
    problem = problem_of(published, 65.0, ACCURATE, caps)
    few = annealing.AnnealingSettings(proposals_per_temperature=20, rounds=2, selection=Selection(5))
    found = annealing.search(problem, few, np.random.default_rng(0))
    proof = solver.best(problem)
    assert found.values[0] <= proof.bound
    assert found.values[0] > proof.bound - 0.5
    for candidate in found.candidates:
        real = costs_of(CPU_SPACE, candidate.arch)
        assert all(getattr(real, name) <= limit for name, limit in caps.limits.items())


def test_search_gives_diverse_candidates_and_the_optimum_first(published: Landscape) -> None:
    problem = problem_of(published, 65.0, ACCURATE, Caps(max_parameters=2_500_000))
    result = solver.search(problem, Selection(count=5, min_difference=2, pool=200), np.random.default_rng(0))
    assert len(result.candidates) == 5
    assert result.values[0] == solver.best(problem).bound
    assert list(result.values) == sorted(result.values, reverse=True)


@pytest.mark.parametrize(("seed", "middle_ms"), [(0, 100.0), (1, 100.0), (2, 100.0), (2, 0.0)])
def test_the_capped_frontier_is_optimal_at_its_points_and_bounded_between(
    costs: dict[str, np.ndarray], seed: int, middle_ms: float
) -> None:
    """Also where a fit to noisy measurements predicts latencies below 0."""
    landscape = random_landscape(seed, middle_ms)
    predicted = figures_of(ARCHS, landscape)
    caps = Caps(max_parameters=int(np.quantile(costs["parameters"], 0.3)))
    allowed = costs["parameters"] <= caps.max_parameters
    latency_ms, accuracy = predicted["latency_ms"][allowed], predicted["accuracy"][allowed]
    front, above = frontier(problem_of(landscape, 1.0, ACCURATE, caps), steps=20)
    assert front.latency_ms[0] == pytest.approx(latency_ms.min(), abs=1e-9)
    assert front.accuracy[-1] == pytest.approx(accuracy.max(), abs=1e-9)
    for ms, found in zip(front.latency_ms, front.accuracy, strict=True):
        assert found == pytest.approx(accuracy[latency_ms <= ms + 1e-9].max(), abs=1e-9)
    step_ms = np.ptp(front.latency_ms) / 2000
    for ms in np.linspace(latency_ms.min() + step_ms, latency_ms.max(), 200):
        # A rise within the finest step may lie just below a point.
        known = front.accuracy[front.index_under(ms + step_ms)]
        assert accuracy[latency_ms <= ms].max() <= known + above + 1e-9


def test_what_cannot_be_is_said_with_what_could_be(published: Landscape) -> None:
    def search(budget_ms: float, caps: Caps, goal: Goal = ACCURATE) -> None:
        solver.search(problem_of(published, budget_ms, goal, caps), Selection(3), np.random.default_rng(0))

    with pytest.raises(InfeasibleBudget, match=r"27\.99 ms"):
        search(20.0, Caps())
    with pytest.raises(Infeasible, match=r"the fastest that keeps them.*raise the budget"):
        search(20.0, Caps(max_parameters=2_000_000))
    with pytest.raises(Infeasible, match=r"smallest subnets of the space have parameters 1\.54"):
        search(80.0, Caps(max_parameters=1_000_000))
    with pytest.raises(Infeasible, match="accuracy >= 90"):
        search(80.0, Caps(max_parameters=2_000_000), Goal.fastest(90.0))


def test_caps_that_exact_search_does_not_know_are_refused(published: Landscape) -> None:
    strange = Cap("layers", "", 15, lambda batch: np.array([sum(a.depths) for a in batch.archs], float))
    with pytest.raises(FoxnasError, match="cap layers"):
        solver.best(SearchProblem(published, 65.0, caps=(strange,)))


def test_costs_of_batches_are_those_of_architectures() -> None:
    landscape = problem_of(random_landscape(0), 1.0, ACCURATE, Caps(max_parameters=1)).landscape
    archs = [ARCHS[i] for i in np.random.default_rng(1).integers(len(ARCHS), size=50)]
    batch = landscape.batch_of([landscape.point_of(arch) for arch in archs])
    for row, arch in zip(ClassCosts(landscape).of(batch).tolist(), archs, strict=True):
        real = costs_of(SMALL, arch)
        assert row == [getattr(real, name) for name in COSTS]


def test_a_cap_that_admits_nothing_is_refused() -> None:
    with pytest.raises(FoxnasError, match="max_parameters is 0, must be at least 1"):
        Caps(max_parameters=0)
