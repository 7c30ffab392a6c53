"""Which subnets to measure: the paper's uniform sample, or one chosen so that the regressions are well determined.

Uniform sampling leaves much of a regression's variance to luck. The *optimal* design is built one subnet at
a time: the next one is that which most lowers the mean variance of a prediction over the whole space
(I-optimality, also called IV- or V-optimality), given those chosen before. D-optimality, the volume of the
coefficients' confidence region, is the other usual criterion; it is offered for comparison.

Variance is half of the matter. No regression is quite true, a design that trusts in one goes to the ends of the space,
and what it then cannot say of the middle no number of subnets will mend (Box and Draper, 1959). So choosing stops soon
after every term is determined, and uniform subnets follow, for which least squares finds the best fit that there is.

All designs are endless sequences whose first n do not depend on how many are taken, so growth stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from math import ceil

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch, Layer
from foxnas.space.design_names import Design
from foxnas.space.layers import UnitChoices
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, formula

#: The terms that are to be determined: all that the paper's forms and their quadratic extensions have between them.
_FORMULAS = ("accuracy-quadratic", "latency-quadratic")

#: Subnets of the uniform sample that stand for the space.
_POPULATION = 4000

#: Weight, in subnets, of the knowledge before the first one: it makes the first steps well defined.
_PRIOR = 1.0

#: Subnets chosen a term, before uniform ones follow.
_CHOSEN_A_TERM = 1.5

#: Rounds over all units in which a subnet is improved; it seldom changes after the second.
_SWEEPS = 3


def subnets(design: Design, space: SearchSpace, image_size: int, rng: np.random.Generator) -> Iterator[Arch]:
    """Yield the subnets of a design without repeats; the first n do not depend on how many are taken.

    Raises FoxnasError when the space has no more.
    """
    seen = set()
    if design != "uniform":
        for arch in chosen(design, space, image_size, rng):
            seen.add(arch)
            yield arch
    yield from (arch for arch in space.sample(image_size, rng) if arch not in seen)


def chosen(design: Design, space: SearchSpace, image_size: int, rng: np.random.Generator) -> Iterator[Arch]:
    """Yield those that a design begins with, before it goes on uniformly: one and a half per term of the regressions.

    Raises FoxnasError when the space has fewer.
    """
    sequence = _Sequential(design, space, image_size, rng)
    yield from islice(sequence.subnets(), ceil(_CHOSEN_A_TERM * sequence.terms))


@dataclass(frozen=True, eq=False)
class _Options:
    """What the unit at a place may be: up to the order of its layers after the first, with its terms."""

    units: list[tuple[Layer, ...]]
    terms: FloatArray
    own: slice
    """Where the place's terms stand in a subnet's."""


class _Sequential:
    """The state of a sequential design.

    With X the terms of the subnets so far (intercept first), M = X'X plus a little of the population's W, and
    W the population's mean of xx', a further subnet x lowers log det of the inverse of M by log(1 + x'M^-1 x),
    and the mean variance tr(W M^-1) by x'M^-1 W M^-1 x / (1 + x'M^-1 x). Both are quadratic forms in x, and x
    is a constant plus one block a unit: so a unit's best choice among all, given the other units, is found
    at once, and going through the units in turn (coordinate exchange) ends at a good subnet.
    """

    def __init__(self, design: Design, space: SearchSpace, image_size: int, rng: np.random.Generator) -> None:
        self._criterion, self._space, self._size, self._rng = design, space, image_size, rng
        population = [space.draw(image_size, np.random.default_rng([0, i])) for i in range(_POPULATION)]
        options: dict[int, tuple[list[tuple[Layer, ...]], FloatArray]] = {}
        blocks: dict[int, FloatArray] = {}
        for choices in dict.fromkeys(space.choices):
            places = [place for place, own in enumerate(space.choices) if own == choices]
            terms = self._terms([arch.units[place] for arch in population for place in places])
            # Terms that both formulas have, or that others add up to, are counted once.
            mean, basis = _whitening(terms)
            units = _units_of(choices)
            options |= dict.fromkeys(places, (units, (self._terms(units) - mean) @ basis))
            of_places = ((terms - mean) @ basis).reshape(len(population), len(places), -1)
            blocks |= {place: of_places[:, i] for i, place in enumerate(places)}
        ends = np.cumsum([1, *(blocks[place].shape[1] for place in range(len(blocks)))])
        self._options = [
            _Options(*options[place], slice(start, end))
            for place, (start, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
        ]
        x = np.hstack([np.ones((len(population), 1)), *(blocks[place] for place in range(len(blocks)))])
        self._moments = x.T @ x / len(x)
        self._inverse: FloatArray = np.asarray(np.linalg.inv(_PRIOR * self._moments), dtype=float)

    @property
    def terms(self) -> int:
        """How many independent terms are to be determined, the intercept among them."""
        return len(self._moments)

    def subnets(self) -> Iterator[Arch]:
        """Yield the design, without end."""
        seen: set[Arch] = set()
        misses = 0
        while misses < 1000:
            arch, x = self._next()
            if arch in seen:
                misses += 1
                continue
            seen.add(arch)
            misses = 0
            direction = self._inverse @ x
            self._inverse -= np.outer(direction, direction) / (1 + x @ direction)
            yield arch
        raise FoxnasError(
            f"space {self._space.name} at {self._size} px ran out of new subnets after {len(seen)}: 1,000 attempts in "
            "a row were repeats"
        )

    def _next(self) -> tuple[Arch, FloatArray]:
        places = len(self._options)
        counts = np.array([len(options.units) for options in self._options])
        chosen = self._rng.integers(counts.max(), size=places) % counts
        gain: FloatArray = self._inverse @ self._moments @ self._inverse
        for _ in range(_SWEEPS):
            before = chosen.copy()
            for place in self._rng.permutation(places):
                own, options = self._options[place].own, self._options[place].terms
                x = self._terms_of(chosen)
                x[own] = 0
                variance = _quadratic(self._inverse, x, own, options)
                if self._criterion == "d-optimal":
                    chosen[place] = int(variance.argmax())
                else:
                    chosen[place] = int((_quadratic(gain, x, own, options) / (1 + variance)).argmax())
            if (chosen == before).all():
                break
        units = []
        for first, *rest in (self._options[place].units[i] for place, i in enumerate(chosen)):
            order = self._rng.permutation(len(rest))
            units.append((first, *(rest[i] for i in order)))
        return Arch(self._size, tuple(units)), self._terms_of(chosen)

    def _terms_of(self, chosen: np.ndarray) -> FloatArray:
        """Return the terms of the subnet of the chosen options, a one first."""
        return np.hstack([1.0, *(self._options[place].terms[i] for place, i in enumerate(chosen))])

    def _terms(self, units: list[tuple[Layer, ...]]) -> FloatArray:
        return np.hstack([formula(name, self._space).unit_matrix(units) for name in _FORMULAS])


def _units_of(choices: UnitChoices) -> list[tuple[Layer, ...]]:
    """Every unit, up to the order of its layers after the first."""
    layers = choices.layers()
    return [
        (first, *rest)
        for depth in choices.depths
        for first in layers
        for rest in combinations_with_replacement(layers, depth - 1)
    ]


def _whitening(terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the rows and a basis in which they have unit variance; dependent directions are left out."""
    mean = terms.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(terms, rowvar=False))
    kept = values > 1e-9 * values[-1]
    return mean, vectors[:, kept] / np.sqrt(values[kept])


def _quadratic(matrix: FloatArray, x: FloatArray, own: slice, options: FloatArray) -> FloatArray:
    """Return x'Ax for every option put into x at `own`, where x is zero."""
    block = matrix[own, own]
    return (
        np.einsum("ij,jk,ik->i", options, block, options, optimize=True)
        + 2 * options @ (matrix[own] @ x)
        + x @ matrix @ x
    )
