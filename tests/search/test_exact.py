"""The exact frontier against brute force, and against the published problem."""

import dataclasses
from itertools import islice, product

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.problem import InfeasibleBudget, SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import exact
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula
from tests.support.kinds import PER_UNIT
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

SMALL = dataclasses.replace(
    CPU_SPACE,
    name="small",
    image_sizes=(128, 160),
    kernel_sizes=(3, 5, 7),
    expansion_ratios=(2, 4),
    depths=(2, 3),
    units=CPU_SPACE.units[:2],
)


def random_landscape(
    seed: int, accuracy: str = "accuracy", latency: str = "latency", space: SearchSpace = SMALL
) -> Landscape:
    """Predictors of a small space with random coefficients: no structure that a shortcut could lean on."""
    rng = np.random.default_rng(seed)

    def predictors(name: str, scale: float) -> dict[int, Predictor]:
        terms = formula(name, space)
        return {
            size: Predictor.published(name, "", size, terms, 100.0, rng.normal(0, scale, len(terms.terms)))
            for size in space.image_sizes
        }

    return Landscape(space, predictors(accuracy, 1.0), predictors(latency, 2.0))


def everything(landscape: Landscape) -> tuple[list[Arch], np.ndarray, np.ndarray]:
    """All architectures of the space with their predictions: 127,008 of `SMALL`."""
    units = [
        [unit for depth in choices.depths for unit in product(choices.layers(), repeat=depth)]
        for choices in landscape.space.choices
    ]
    archs, accuracy, latency = [], [], []
    for size in landscape.space.image_sizes:
        these = [Arch(size, chosen) for chosen in product(*units)]
        archs += these
        accuracy.append(landscape.accuracy[size].predict(these).mean)
        latency.append(landscape.latency[size].predict(these).mean)
    return archs, np.concatenate(accuracy), np.concatenate(latency)


@pytest.mark.parametrize(
    ("seed", "formulas", "space"),
    [
        (0, ("accuracy", "latency"), SMALL),
        (1, ("accuracy", "latency"), SMALL),
        (2, ("accuracy-quadratic-k", "latency-quadratic"), SMALL),
        (3, ("accuracy", "latency"), PER_UNIT),
        (4, ("accuracy-quadratic", "layers"), PER_UNIT),
    ],
)
def test_frontier_is_that_of_brute_force(seed, formulas, space):
    landscape = random_landscape(seed, *formulas, space)
    front = exact.frontier(landscape)
    for candidate in front.candidates:
        space.validate(candidate.arch)
    archs, accuracy, latency = everything(landscape)
    assert len(archs) == space.count()
    order = np.lexsort((-accuracy, latency))
    best = np.maximum.accumulate(accuracy[order])
    # Rounding differs between the two sums: a rise below it is a tie.
    steps = best[np.r_[True, np.diff(best) > 1e-9]]
    np.testing.assert_allclose(front.accuracy, steps, atol=1e-8)
    for budget in np.quantile(latency, [0.001, 0.05, 0.3, 0.5, 0.9]):
        found = front.best_under(budget + 1e-9)
        assert found.accuracy == pytest.approx(accuracy[latency <= budget + 1e-9].max(), abs=1e-9)
        assert found.latency_ms <= budget + 1e-9


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_pareto_is_that_of_comparing_all_pairs(decimals):
    """Few decimals make ties in either value and in both."""
    rng = np.random.default_rng(decimals)
    latency, accuracy = rng.normal(0, 1, (2, 3000)).round(decimals)
    accuracy = (accuracy + 0.5 * latency).round(decimals)
    beaten = (latency[:, None] >= latency) & (accuracy[:, None] <= accuracy)
    equal = (latency[:, None] == latency) & (accuracy[:, None] == accuracy)
    earlier = np.arange(3000)[:, None] > np.arange(3000)
    kept = np.flatnonzero(~(beaten & (~equal | earlier)).any(axis=1))
    np.testing.assert_array_equal(exact.pareto(latency, accuracy), kept[np.argsort(latency[kept])])


def test_representative_is_the_smallest_member_of_its_class():
    landscape = random_landscape(3)
    index = landscape.class_of(((3, 2), (7, 2), (3, 4)))
    twin = landscape.class_of(((3, 2), (5, 4), (5, 2)))
    other = landscape.class_of(((3, 2), (5, 4), (7, 2)))
    assert index == twin != other
    assert landscape.unit_classes[index] == ((3, 2), (3, 2), (7, 4))


def test_a_curved_kernel_effect_splits_the_class():
    landscape = random_landscape(3, "accuracy-quadratic-k")
    assert landscape.class_of(((3, 2), (7, 2), (3, 4))) != landscape.class_of(((3, 2), (5, 4), (5, 2)))
    assert landscape.class_of(((3, 2), (7, 2), (3, 4))) == landscape.class_of(((3, 2), (3, 2), (7, 4)))


def test_tables_add_up_to_the_predictors(published):
    for arch in islice(CPU_SPACE.sample(192, np.random.default_rng(0)), 50):
        accuracy, latency = published.predict(published.point_of(arch))
        assert accuracy == pytest.approx(PUBLISHED_ACCURACY.predict([arch]).mean[0])
        assert latency == pytest.approx(PUBLISHED_LATENCY.predict([arch]).mean[0])


def test_no_sampled_subnet_beats_the_published_frontier(published):
    front = exact.frontier(published)
    archs = list(islice(CPU_SPACE.sample(192, np.random.default_rng(5)), 2000))
    accuracy = PUBLISHED_ACCURACY.predict(archs).mean
    latency = PUBLISHED_LATENCY.predict(archs).mean
    bound = front.accuracy[np.searchsorted(front.latency_ms, latency + 1e-9, side="right") - 1]
    assert (accuracy <= bound + 1e-9).all()
    assert (np.diff(front.latency_ms) > 0).all()
    assert (np.diff(front.accuracy) > 0).all()


@pytest.mark.parametrize("budget", [45.0, 55.0, 65.0, 80.0])
def test_optimum_has_no_better_neighbour_within_budget(published, budget):
    best = exact.frontier(published).best_under(budget)
    neighbours = [n for n in CPU_SPACE.neighbours(best.arch) if n.image_size == 192]
    meets = PUBLISHED_LATENCY.predict(neighbours).mean <= budget
    assert (PUBLISHED_ACCURACY.predict(neighbours).mean[meets] <= best.accuracy + 1e-9).all()
    assert best.latency_ms <= budget


def test_budget_exactly_on_a_point_is_met(published):
    front = exact.frontier(published)
    for index in range(0, len(front), 50):
        assert front.index_under(float(front.latency_ms[index])) == index
        assert front.index_under(np.nextafter(front.latency_ms[index], np.inf)) == index
        # The sum of the tables, in the same order, to the bit.
        assert published.predict(front.point(index)) == (front.accuracy[index], front.latency_ms[index])


def test_below_the_fastest_the_outcome_names_it(published):
    front = exact.frontier(published)
    with pytest.raises(InfeasibleBudget) as outcome:
        front.best_under(20.0)
    assert outcome.value.latency_ms == front.latency_ms[0]
    assert PUBLISHED_LATENCY.predict([outcome.value.fastest]).mean[0] == pytest.approx(front.latency_ms[0])
    assert f"{front.latency_ms[0]:.4g} ms" in str(outcome.value)
    assert isinstance(outcome.value, FoxnasError)


def test_candidates_are_within_budget_ranked_and_diverse(published):
    result = exact.search(SearchProblem(published, 55.0), Selection(count=8), np.random.default_rng(0))
    assert result.best == exact.frontier(published).best_under(55.0)
    assert len(result.candidates) == 8
    accuracy = [c.accuracy for c in result.candidates]
    assert accuracy == sorted(accuracy, reverse=True)
    assert all(c.latency_ms <= 55 for c in result.candidates)
    for i, one in enumerate(result.candidates):
        for other in result.candidates[:i]:
            assert sum(a != b for a, b in zip(one.arch.units, other.arch.units, strict=True)) >= 2


def test_predictors_of_other_sizes_or_spaces_are_refused():
    with pytest.raises(FoxnasError, match=r"accuracy at \[192\] px and latency at \[\] px"):
        Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {})
    with pytest.raises(FoxnasError, match="given for 224 px was fitted at 192 px"):
        Landscape(CPU_SPACE, {224: PUBLISHED_ACCURACY}, {224: PUBLISHED_LATENCY})
    small = dataclasses.replace(SMALL, image_sizes=(192,))
    with pytest.raises(FoxnasError, match="another space than small"):
        Landscape(small, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY})
