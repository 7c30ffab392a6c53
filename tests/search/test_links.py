"""Search on accuracies whose links bend, against brute force over a whole small space."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from foxnas.predictor.link import IDENTITY, Link
from foxnas.search.capped import solver
from foxnas.search.capped.frontier import frontier
from foxnas.search.certificate import certify
from foxnas.search.goal import Caps, Goal
from foxnas.search.goals import knee_of
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, autoshrink, differentiable, evolution, exact, random, regularised
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.autoshrink import AutoShrinkSettings
from foxnas.search.strategies.differentiable import DifferentiableSettings
from foxnas.search.strategies.evolution import EvolutionSettings
from foxnas.search.strategies.guidance import main_effects
from foxnas.search.strategies.random import RandomSettings
from foxnas.search.strategies.regularised import RegularisedSettings
from foxnas.space.costs import COSTS
from tests.support.small_problem import SMALL, everything, figures_of, random_landscape

ARCHS = everything()

#: Both sizes bend, each to an asymptote of its own; or one of them does.
LINKS = {"both": {32: Link(60.0), 64: Link(61.5)}, "one": {32: IDENTITY, 64: Link(61.0)}}


def bent_landscape(seed: int, links: str) -> Landscape:
    """Random predictors with accuracies of about 40 to 60, several units below their asymptotes."""
    plain = random_landscape(seed)
    accuracy = {}
    for size, link in LINKS[links].items():
        one = plain.accuracy[size]
        if link != IDENTITY:
            one = dataclasses.replace(one, intercept=-2.0, coefficients=tuple(0.03 * c for c in one.coefficients))
        accuracy[size] = dataclasses.replace(one, link=link)
    return Landscape(SMALL, accuracy, plain.latency)


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("seed", range(4))
def test_frontier_is_that_of_brute_force(seed: int, links: str) -> None:
    landscape = bent_landscape(seed, links)
    predicted = figures_of(ARCHS, landscape)
    front = exact.frontier(landscape)
    assert (np.diff(front.accuracy) > 0).all()
    order = np.argsort(predicted["latency_ms"], kind="stable")
    best = np.maximum.accumulate(predicted["accuracy"][order])
    for latency_ms, accuracy in zip(front.latency_ms, front.accuracy, strict=True):
        at = np.searchsorted(predicted["latency_ms"][order], latency_ms + 1e-9, side="right") - 1
        assert accuracy == pytest.approx(best[at], abs=1e-9)
    for share in (0.05, 0.3, 0.7, 1.0):
        budget_ms = float(np.quantile(predicted["latency_ms"], share)) + 1e-9
        found = front.best_under(budget_ms)
        assert found.accuracy == pytest.approx(predicted["accuracy"][predicted["latency_ms"] <= budget_ms].max())
    # Within a size, the order is that of the sums, whatever the link.
    for size, index in ((32, 0), (64, 1)):
        own = [i for i, arch in enumerate(ARCHS) if arch.image_size == size]
        plain = {s: dataclasses.replace(p, link=IDENTITY) for s, p in landscape.accuracy.items()}
        sums = figures_of(ARCHS, Landscape(SMALL, plain, landscape.latency))["accuracy"][own]
        assert predicted["accuracy"][own].argmax() == sums.argmax()
        assert landscape.highest_sums[index] == pytest.approx(sums.max())


def test_predictions_are_the_predictors_and_those_of_batches_to_the_bit() -> None:
    landscape = bent_landscape(1, "one")
    points = [landscape.point_of(arch) for arch in ARCHS[::37]]
    batch = landscape.batch_of(points)
    assert [landscape.predict(point) for point in points] == list(
        zip(batch.accuracy.tolist(), batch.latency_ms.tolist(), strict=True)
    )
    np.testing.assert_allclose(batch.accuracy, figures_of(ARCHS[::37], landscape)["accuracy"], rtol=1e-12)
    front = exact.frontier(landscape)
    for index in range(len(front)):
        assert landscape.predict(front.point(index)) == (front.accuracy[index], front.latency_ms[index])


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("seed", range(4))
def test_capped_optima_are_those_of_brute_force(costs: dict[str, np.ndarray], seed: int, links: str) -> None:
    landscape = bent_landscape(seed, links)
    predicted = figures_of(ARCHS, landscape)
    rng = np.random.default_rng(seed)
    caps = Caps(**{f"max_{name}": int(np.quantile(costs[name], rng.uniform(0.3, 0.7))) for name in COSTS})
    budget_ms = float(np.quantile(predicted["latency_ms"], 0.7))
    allowed = predicted["latency_ms"] <= budget_ms
    for name, limit in caps.limits.items():
        allowed &= costs[name] <= limit
    floor = float(np.quantile(predicted["accuracy"][allowed], 0.8))
    goals = [
        Goal.most_accurate(), Goal.fastest(floor), Goal.weighted(2.0, budget_ms), Goal.weighted(50.0, budget_ms),
        knee_of(landscape, budget_ms, caps),
    ]  # fmt: skip
    for goal in goals:
        kept = allowed & (predicted["accuracy"] >= (goal.accuracy_floor or -np.inf))
        # Of subnets that agree in everything that is asked for, one is listed.
        columns = [goal.scores(predicted), *predicted.values(), *costs.values()]
        values = np.sort(np.unique(np.column_stack(columns)[kept].round(6), axis=0)[:, 0])[::-1]
        problem = problem_of(landscape, budget_ms, goal, caps)
        proof = solver.best(problem, 3)
        assert proof.values[0] == pytest.approx(goal.scores(predicted)[kept].max(), abs=1e-9)
        assert proof.bound == proof.values[0]
        assert proof.values[-1] >= values[2] - 1e-5
        found = exact.search(problem, Selection(1, pool=1), rng) if problem.monotone else None
        assert found is None or found.values[0] == pytest.approx(proof.values[0])
        assert certify(problem, solver.search(problem, Selection(1, pool=1), rng))["gap"] == 0
    with pytest.raises(solver.Infeasible):
        solver.search(problem_of(landscape, budget_ms, Goal.fastest(61.6), caps), Selection(1, pool=1), rng)


def test_capped_frontier_is_that_of_brute_force(costs: dict[str, np.ndarray]) -> None:
    landscape = bent_landscape(2, "both")
    predicted = figures_of(ARCHS, landscape)
    limit = int(np.quantile(costs["parameters"], 0.4))
    kept = costs["parameters"] <= limit
    front, above = frontier(problem_of(landscape, float("inf"), Goal.most_accurate(), Caps(max_parameters=limit)))
    for latency_ms, accuracy in zip(front.latency_ms, front.accuracy, strict=True):
        within = kept & (predicted["latency_ms"] <= latency_ms + 1e-9)
        assert accuracy == pytest.approx(predicted["accuracy"][within].max())
    assert 0 <= above <= np.ptp(front.accuracy) / 50 + 1e-9


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        (annealing.search, AnnealingSettings(rounds=2, proposals_per_temperature=30)),
        (evolution.search, EvolutionSettings(population=60, generations=30)),
        (regularised.search, RegularisedSettings(population=60, cycles=400)),
        (autoshrink.search, AutoShrinkSettings(calls=6000)),
        (differentiable.search, DifferentiableSettings(steps=300)),
        (random.search, RandomSettings(draws=4000)),
    ],
)
def test_every_strategy_nears_the_optimum(strategy, settings) -> None:  # type: ignore[no-untyped-def]
    landscape = bent_landscape(3, "both")
    predicted = figures_of(ARCHS, landscape)
    budget_ms = float(np.quantile(predicted["latency_ms"], 0.5))
    optimum = predicted["accuracy"][predicted["latency_ms"] <= budget_ms].max()
    found = strategy(SearchProblem(landscape, budget_ms), settings, np.random.default_rng(0))
    assert found.best.latency_ms <= budget_ms
    assert optimum - 0.1 <= found.best.accuracy <= optimum + 1e-9
    of_annealing = strategy is annealing.search
    assert not of_annealing or found.best.accuracy == pytest.approx(optimum)


def test_main_effects_are_those_of_all_architectures() -> None:
    """In closed form although the link bends: brute force over every architecture with its probability."""
    landscape = bent_landscape(5, "one")
    accuracy = figures_of(ARCHS, landscape)["accuracy"]
    chance = np.array([np.prod([1.0 / len(SMALL.layers()) ** len(unit) for unit in arch.units]) for arch in ARCHS])
    effects = dict(zip((found := main_effects(landscape)).knobs, found.accuracy, strict=True))

    def mean(rows: list[bool]) -> float:
        return float(np.average(accuracy[rows], weights=chance[rows]))

    for knob, effect in effects.items():
        if knob.kind == "size":
            of_sizes = [mean([a.image_size == size for a in ARCHS]) for size in SMALL.image_sizes]
            assert effect == pytest.approx(np.ptp(of_sizes))
            continue
        axis, rest = "KE".find(knob.kind[0]), knob.kind.endswith("rest")
        choices = {"D": SMALL.depths, "K": SMALL.kernel_sizes, "E": SMALL.expansion_ratios}[knob.kind[0]]

        def has(unit, choice, axis=axis, rest=rest) -> bool:  # type: ignore[no-untyped-def]
            layers = unit[1:] if rest else unit[:1]
            return len(unit) == choice if axis < 0 else all(layer[axis] == choice for layer in layers)

        ranges = [
            np.ptp([mean([a.image_size == size and has(a.units[knob.unit], c) for a in ARCHS]) for c in choices])
            for size in SMALL.image_sizes
        ]
        assert effect == pytest.approx(np.mean(ranges)), knob


@pytest.mark.parametrize("links", LINKS)
def test_a_tangent_is_nowhere_below_the_accuracy(links: str) -> None:
    landscape = bent_landscape(6, links)
    sums = landscape.highest_sums
    offset, slope = landscape.links.tangents(sums)
    sizes = np.arange(2)
    np.testing.assert_allclose(offset + slope * sums, landscape.links.accuracy(sizes, sums))
    for step in (-3.0, -0.4, 0.2, 2.0):
        assert (offset + slope * (sums + step) >= landscape.links.accuracy(sizes, sums + step) - 1e-12).all()
