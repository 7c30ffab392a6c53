"""The paper's 25 variables of a subnet and the regression terms built on them (equation 2).

Every term belongs to one unit, so a predictor is an intercept plus a sum over units, and within a unit no
term depends on the order of the layers after the first. Exact search (`foxnas.search.strategies.exact`) rests on both.

The variables of a unit are its depth D, the mean E and K of its layers *after the first*, and E and K of its
first layer. That the means leave the first layer out, and that accuracy and latency have different products,
is how the authors' own table was made. Where a unit has one layer, there are no layers to take the mean of, and all
terms with such a mean are 0; a unit that never has more has none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch, Layer
from foxnas.space.layers import UnitChoices
from foxnas.space.space import SearchSpace

FloatArray = NDArray[np.float64]

#: Names of a unit's variables, in the order of `Variables`; the 25 of the paper are these for each of five units.
VARIABLES = ("D", "E_avg", "K_avg", "E_first", "K_first")


@dataclass(frozen=True)
class Variables:
    """What the terms may use of a unit; arrays of one common shape.

    `depth`, `e_avg`, `k_avg`, `e_first`, `k_first` are the paper's five. The others, which only the extended formulas
    use, are means over the layers after the first, or of the first: `k2_*` and `e2_*` of `Knobs.curvature`, `ek_*`
    and `ek2_*` of the products of E, counted from the middle of its range, with K, likewise, and with K's curvature.
    """

    depth: FloatArray
    e_avg: FloatArray
    k_avg: FloatArray
    e_first: FloatArray
    k_first: FloatArray
    e2_avg: FloatArray
    k2_avg: FloatArray
    ek_avg: FloatArray
    ek2_avg: FloatArray
    e2_first: FloatArray
    k2_first: FloatArray
    ek_first: FloatArray
    ek2_first: FloatArray


@dataclass(frozen=True)
class Knobs:
    """The choices of a space that decide which terms exist: a knob with one choice contributes none."""

    units: int
    depths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    expansion_ratios: tuple[int, ...]
    own: tuple[tuple[tuple[int, ...], ...], ...] = ()
    """The same three for every unit, where they are not those of all."""

    @classmethod
    def of(cls, space: SearchSpace) -> Knobs:
        """Return the knobs of a space."""
        whole = (space.depths, space.kernel_sizes, space.expansion_ratios)
        own = tuple((c.depths, c.kernel_sizes, c.expansion_ratios) for c in space.choices)
        return cls(len(space.units), *whole, own if any(unit != whole for unit in own) else ())

    @property
    def choices(self) -> tuple[UnitChoices, ...]:
        """The choices of each unit."""
        whole = (self.depths, self.kernel_sizes, self.expansion_ratios)
        return tuple(UnitChoices(*unit) for unit in self.own or (whole,) * self.units)

    @staticmethod
    def curvature(choices: Sequence[int], values: FloatArray) -> FloatArray:
        """Squared distance from the middle of the range, 1 at both ends.

        For K in {3, 5, 7} this is 1 minus the indicator of K = 5: the part of K's effect that is not linear.
        """
        return (Knobs.from_middle(choices, values) / ((choices[-1] - choices[0]) / 2 or 1)) ** 2

    @staticmethod
    def from_middle(choices: Sequence[int], values: FloatArray) -> FloatArray:
        """Distance from the middle of the range: products of such are less collinear with their factors."""
        return values - (choices[0] + choices[-1]) / 2


@dataclass(frozen=True)
class _Term:
    """How a term is computed, and the number of choices of each knob it needs to be more than a copy of another.

    `later` counts the depths with layers after the first, which a mean over these needs.
    """

    value: Callable[[Variables], FloatArray]
    depths: int = 1
    later: int = 0
    kernels: int = 1
    ratios: int = 1

    def exists(self, unit: UnitChoices) -> bool:
        """Whether a unit with these choices has it."""
        return (
            len(unit.depths) >= self.depths
            and len(unit.later_depths) >= self.later
            and len(unit.kernel_sizes) >= self.kernels
            and len(unit.expansion_ratios) >= self.ratios
        )


# A term of degree n in D needs n + 1 depths, or it is a combination of terms of lower degree.
_TERMS: Mapping[str, _Term] = MappingProxyType(
    {
        "D": _Term(lambda v: v.depth, depths=2),
        "E_avg": _Term(lambda v: v.e_avg, later=1, ratios=2),
        "K_avg": _Term(lambda v: v.k_avg, later=1, kernels=2),
        "E_first": _Term(lambda v: v.e_first, ratios=2),
        "K_first": _Term(lambda v: v.k_first, kernels=2),
        "E_total": _Term(lambda v: (v.depth - 1) * v.e_avg, later=2, ratios=2),
        "DxE_total": _Term(lambda v: v.depth * (v.depth - 1) * v.e_avg, later=3, ratios=2),
        "DxE_avg": _Term(lambda v: v.depth * v.e_avg, later=2, ratios=2),
        "DxK_avg": _Term(lambda v: v.depth * v.k_avg, later=2, kernels=2),
        "K2_avg": _Term(lambda v: v.k2_avg, later=1, kernels=3),
        "K2_first": _Term(lambda v: v.k2_first, kernels=3),
        "E2_avg": _Term(lambda v: v.e2_avg, later=1, ratios=3),
        "E2_first": _Term(lambda v: v.e2_first, ratios=3),
        "ExK_first": _Term(lambda v: v.ek_first, kernels=2, ratios=2),
        "ExK2_first": _Term(lambda v: v.ek2_first, kernels=3, ratios=2),
        "E_sum": _Term(lambda v: (v.depth - 1) * v.e_avg, later=1, ratios=2),
        "K_sum": _Term(lambda v: (v.depth - 1) * v.k_avg, later=1, kernels=2),
        "E2_sum": _Term(lambda v: (v.depth - 1) * v.e2_avg, later=1, ratios=3),
        "K2_sum": _Term(lambda v: (v.depth - 1) * v.k2_avg, later=1, kernels=3),
        "ExK_sum": _Term(lambda v: (v.depth - 1) * v.ek_avg, later=1, kernels=2, ratios=2),
        "ExK2_sum": _Term(lambda v: (v.depth - 1) * v.ek2_avg, later=1, kernels=3, ratios=2),
    }
)

_PAPER = {
    "accuracy": (*VARIABLES, "E_total", "DxE_total", "DxK_avg"),
    "latency": (*VARIABLES, "DxE_avg", "DxK_avg"),
}
_EXTENSIONS = {
    "": (),
    "-quadratic-k": ("K2_avg", "K2_first"),
    "-quadratic": ("K2_avg", "K2_first", "E2_avg", "E2_first"),
}

# A sum over layers: what each adds by its own K and E, curved, and by both together; the first layer apart.
_LAYER = ("E", "K", "E2", "K2", "ExK", "ExK2")
_LAYERS = ("D", *(f"{kind}_{place}" for place in ("first", "sum") for kind in _LAYER))

#: Every formula: the paper's "accuracy" and "latency", both with a curved effect of K, or of K and E, and "layers",
#: in which every layer adds its own share: a lookup table of layers in few numbers.
FORMULAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {base + suffix: (*terms, *extra) for base, terms in _PAPER.items() for suffix, extra in _EXTENSIONS.items()}
    | {"layers": _LAYERS}
)


@dataclass(frozen=True)
class Formula:
    """A named list of regression terms for one space; see `formula`.

    Columns are grouped by term and run over the units within a group, as in the published predictors:
    ``D_1 ... D_5, E_avg_1 ... E_avg_5, ...``, but for units without such a term. The intercept is not among them.
    """

    name: str
    knobs: Knobs

    def __post_init__(self) -> None:
        if self.name not in FORMULAS:
            raise FoxnasError(f"formula {self.name!r} is unknown: take one of {', '.join(FORMULAS)}")
        if not self.kinds:
            raise FoxnasError(f"formula {self.name!r} has no terms in a space in which no knob has several choices")

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The terms of some unit, such as ``DxE_total``."""
        return tuple(kind for kind in FORMULAS[self.name] if any(map(_TERMS[kind].exists, self.knobs.choices)))

    @cached_property
    def exist(self) -> NDArray[np.bool_]:
        """Which units have which terms: (number of `kinds`, units)."""
        return np.array([[_TERMS[kind].exists(unit) for unit in self.knobs.choices] for kind in self.kinds])

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns of `matrix`; the number is the unit, from 1."""
        return tuple(f"{self.kinds[kind]}_{unit + 1}" for kind, unit in np.argwhere(self.exist))

    def unit_matrix(self, units: Sequence[Sequence[Layer]]) -> FloatArray:
        """Return the terms of single units: (number of units given, number of `kinds`)."""
        variables = self._variables(units)
        return np.column_stack([_TERMS[kind].value(variables) for kind in self.kinds])

    def matrix(self, archs: Sequence[Arch]) -> FloatArray:
        """Return the design matrix without intercept: (number of archs, number of `terms`)."""
        for arch in archs:
            if len(arch.units) != self.knobs.units:
                raise FoxnasError(f"{arch.text}: has {len(arch.units)} units, the formula has {self.knobs.units}")
        if not archs:
            return np.empty((0, len(self.terms)))
        rows = self.unit_matrix([unit for arch in archs for unit in arch.units])
        by_kind = rows.reshape(len(archs), self.knobs.units, len(self.kinds)).transpose(0, 2, 1)
        return by_kind.reshape(len(archs), -1)[:, self.exist.ravel()]

    def by_unit(self, coefficients: Sequence[float] | FloatArray) -> FloatArray:
        """Arrange one coefficient per column as (number of `kinds`, units): prediction is a sum over units.

        Where a unit has no such term, it is 0.
        """
        arranged = np.zeros(self.exist.shape)
        arranged[self.exist] = coefficients
        return arranged

    def _variables(self, units: Sequence[Sequence[Layer]]) -> Variables:
        depth = np.fromiter(map(len, units), dtype=np.intp, count=len(units))
        flat = chain.from_iterable(chain.from_iterable(units))
        layers = np.fromiter(flat, dtype=float, count=2 * int(depth.sum())).reshape(-1, 2)
        first = np.concatenate([[0], np.cumsum(depth)[:-1]])

        def average(values: FloatArray) -> FloatArray:
            # One layer has none after it: 0 of them, whose sum is 0.
            return (np.add.reduceat(values, first) - values[first]) / np.maximum(depth - 1, 1)

        k, e = layers[:, 0], layers[:, 1]
        k2 = self.knobs.curvature(self.knobs.kernel_sizes, k)
        e2 = self.knobs.curvature(self.knobs.expansion_ratios, e)
        middle_e = self.knobs.from_middle(self.knobs.expansion_ratios, e)
        ek, ek2 = middle_e * self.knobs.from_middle(self.knobs.kernel_sizes, k), middle_e * k2
        return Variables(
            depth.astype(float),
            *(average(e), average(k), e[first], k[first]),
            *map(average, (e2, k2, ek, ek2)),
            *(values[first] for values in (e2, k2, ek, ek2)),
        )


def formula(name: str, space: SearchSpace) -> Formula:
    """Return the formula called `name` (see `FORMULAS`) for a space.

    In the paper's CPU space "accuracy" has 40 terms and "latency" 35; with a fixed kernel size they have 25 and 20.
    """
    return Formula(name, Knobs.of(space))
