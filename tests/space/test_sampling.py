"""Sampling designs: stable prefixes, optimal steps, and less variance than the uniform sample."""

from __future__ import annotations

from functools import cache
from itertools import islice, product

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.design_names import DESIGNS, Design
from foxnas.space.sampling import chosen, subnets
from foxnas.space.space import SearchSpace, UnitSpec
from foxnas.space.terms import formula
from tests.support.kinds import PER_UNIT

SMALL = SearchSpace(
    name="small", image_sizes=(16,), kernel_sizes=(3, 5, 7), expansion_ratios=(2, 3, 4), depths=(2, 3), stem_width=8,
    stem_stride=2, units=(UnitSpec(8, 2, 2), UnitSpec(12, 1, 1)), head_width=16, image_channels=1, classes=10,
)  # fmt: skip


def taken(design: Design, space: SearchSpace, count: int, seed: int = 0) -> list[Arch]:
    return list(islice(subnets(design, space, space.image_sizes[0], np.random.default_rng(seed)), count))


@cache
def many(design: Design, space: SearchSpace) -> list[Arch]:
    """Three hundred, some of which the tests take."""
    return taken(design, space, 300)


@pytest.mark.parametrize("space", [SMALL, PER_UNIT], ids=lambda space: space.name)
@pytest.mark.parametrize("design", DESIGNS)
def test_the_first_subnets_stay_what_they_were(
    design: Design, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foxnas.space.sampling._POPULATION", 500)  # how well they are chosen is no matter here
    thirty = taken(design, space, 30)
    assert taken(design, space, 12) == thirty[:12]
    assert len(set(thirty)) == 30
    assert [space.validate(arch) for arch in thirty] == thirty
    assert taken(design, space, 12, seed=1) != thirty[:12]


def design_matrix(space: SearchSpace, archs: list[Arch]) -> np.ndarray:
    terms = [formula(name, space).matrix(archs) for name in ("accuracy-quadratic", "latency-quadratic")]
    return np.column_stack([np.ones(len(archs)), *terms])


@cache
def population(space: SearchSpace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the population's terms, a basis of what varies in them, and the moments in that basis."""
    size = space.image_sizes[0]
    terms = design_matrix(space, [space.draw(size, np.random.default_rng([0, i])) for i in range(4000)])
    mean = terms.mean(axis=0)
    _, size, directions = np.linalg.svd(terms - mean, full_matrices=False)
    kept = directions[size > 1e-4 * size[0]].T
    x = np.column_stack([np.ones(len(terms)), (terms - mean) @ kept])
    return mean, kept, x.T @ x / len(x)


def directly(space: SearchSpace, archs: list[Arch], criterion: str) -> float:
    """The criterion from its definition: to be small; the prior is one subnet's worth of the population."""
    mean, kept, moments = population(space)
    x = np.column_stack([np.ones(len(archs)), (design_matrix(space, archs) - mean) @ kept])
    information = moments + x.T @ x
    if criterion == "d-optimal":
        return -float(np.linalg.slogdet(information)[1])
    return float(np.trace(moments @ np.linalg.inv(information)))


@pytest.mark.parametrize("space", [SMALL, PER_UNIT], ids=lambda space: space.name)
@pytest.mark.parametrize("criterion", ["i-optimal", "d-optimal"])
def test_no_other_choice_of_one_unit_would_have_been_better(criterion: Design, space: SearchSpace) -> None:
    """Coordinate exchange against its definition, with an inverse for each of all choices of either unit."""
    chosen = taken(criterion, space, 9)
    rng = np.random.default_rng(0)
    for step in (3, 8):
        before, own = chosen[:step], chosen[step]
        best = directly(space, [*before, own], criterion)
        for place, choices in enumerate(space.choices):
            every = [unit for depth in choices.depths for unit in product(choices.layers(), repeat=depth)]
            units = [unit for unit in every if list(unit[1:]) == sorted(unit[1:])]
            for i in rng.permutation(len(units))[:40]:
                assert directly(space, [*before, own.with_unit(place, units[i])], criterion) >= best - 1e-6


@pytest.mark.parametrize("design", ["i-optimal", "d-optimal"])
def test_predictions_vary_less_than_after_as_many_uniform_subnets(mini: SearchSpace, design: Design) -> None:
    """Mean variance of a prediction, in units of the noise's: 100 chosen subnets do what 150 uniform ones do not."""
    outside = list(islice(mini.sample(16, np.random.default_rng(5)), 500))
    optimal, uniform = many(design, mini)[:100], taken("uniform", mini, 150)
    for name in ("accuracy-quadratic", "latency"):
        terms = formula(name, mini)

        def variance(archs: list[Arch], terms=terms) -> float:  # type: ignore[no-untyped-def]
            x, rows = (np.column_stack([np.ones(len(a)), terms.matrix(a)]) for a in (archs, outside))
            return float(np.mean(np.einsum("ij,jk,ik->i", rows, np.linalg.inv(x.T @ x), rows)))

        assert variance(optimal) < variance(uniform)


@pytest.mark.parametrize("design", ["i-optimal", "d-optimal"])
def test_choosing_ends_when_all_terms_are_determined(mini: SearchSpace, design: Design) -> None:
    """One and a half a term, by the rank of all terms together; then the uniform sample, without repeats."""
    rng = np.random.default_rng(0)
    first = list(chosen(design, mini, 16, rng))
    uniform = list(islice(mini.sample(16, np.random.default_rng(1)), 2000))
    assert len(first) == np.ceil(1.5 * np.linalg.matrix_rank(design_matrix(mini, uniform)))
    assert np.linalg.matrix_rank(design_matrix(mini, first)) == np.linalg.matrix_rank(design_matrix(mini, uniform))
    following = list(islice(mini.sample(16, rng), 80))
    assert len(first) + 80 <= 300
    assert many(design, mini)[: len(first) + 80] == first + following
    small = taken(design, SMALL, 3000)
    assert len(set(small)) == len(small)


def test_an_exhausted_space_says_so() -> None:
    tiny = SearchSpace(
        name="tiny", image_sizes=(16,), kernel_sizes=(3,), expansion_ratios=(2, 3), depths=(2,), stem_width=8,
        stem_stride=2, units=(UnitSpec(8, 2, 2),), head_width=16, image_channels=1, classes=10,
    )  # fmt: skip
    with pytest.raises(FoxnasError, match=r"space tiny at 16 px ran out of new subnets after [1-4]"):
        taken("i-optimal", tiny, 10)
