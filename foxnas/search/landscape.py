"""Predicted accuracy and latency of every unit of a space, tabulated: what all strategies search on.

A prediction is an intercept plus one value per unit, so a table of (image size, unit, unit class) holds the whole
space. An accuracy may be a rising function of that sum, the inverse of its size's link: sums compare subnets of one
size, predictions those of any two. A *unit class* is a set of units that the predictors cannot tell apart: the layers
after the first in any order, and any layers with the same averages. Its representative is the lexicographically
smallest member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.predictor.model import Predictor
from foxnas.search.links import SizeLinks
from foxnas.space.arch import Arch, Layer
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, Knobs

UnitLayers = tuple[Layer, ...]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Point:
    """A class of architectures: an index into `Landscape.image_sizes` and a unit class for each place."""

    size: int
    classes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """Many predicted architectures as arrays: what objectives and caps are computed from.

    Attributes
    ----------
    landscape
        Whose predictions they are.
    sizes
        Index into `Landscape.image_sizes`: (n,).
    classes
        Index into `Landscape.unit_classes`: (n, units).
    accuracy, latency_ms
        Predictions, in the predictors' units: (n,).
    """

    landscape: Landscape
    sizes: IndexArray
    classes: IndexArray
    accuracy: FloatArray
    latency_ms: FloatArray

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, rows: IndexArray | NDArray[np.bool_]) -> Batch:
        """Return some of them."""
        return Batch(self.landscape, self.sizes[rows], self.classes[rows], self.accuracy[rows], self.latency_ms[rows])

    @cached_property
    def points(self) -> list[Point]:
        """Their classes, one by one."""
        rows = zip(self.sizes.tolist(), self.classes.tolist(), strict=True)
        return [Point(size, tuple(classes)) for size, classes in rows]

    @cached_property
    def archs(self) -> list[Arch]:
        """The representatives, made when first asked for: some microseconds each."""
        return [self.landscape.arch(point) for point in self.points]


@dataclass(frozen=True, eq=False)
class Landscape:
    """The predictors of one device over all image sizes.

    Parameters
    ----------
    space
        The space they were fitted in.
    accuracy, latency
        One predictor for each image size; the sizes searched are their keys.
    alike
        Only units whose layers all share one K and one E: 36 of the 22,608 units of the paper's CPU space. The
        authors' released script searches those in which the layers after the first do: 432.
    merged
        False: every multiset of layers after the first is a class of its own, also where the predictors see no
        difference. Caps on what the predictors do not know, such as parameters, tell such units apart.
    """

    space: SearchSpace
    accuracy: Mapping[int, Predictor]
    latency: Mapping[int, Predictor]
    alike: bool = False
    merged: bool = True

    @classmethod
    def load(cls, space: SearchSpace, accuracy: Sequence[Path], latency: Sequence[Path], alike: bool = False) -> Self:
        """Return the landscape of predictors in files, one for each image size."""
        accurate, timed = ({p.image_size: p for p in map(Predictor.load, paths)} for paths in (accuracy, latency))
        return cls(space, accurate, timed, alike)

    def with_accuracy(self, predictors: Mapping[int, Predictor]) -> Self:
        """Return the landscape of other accuracy predictors of the same formulas, which shares all but their tables."""
        other = replace(self, accuracy=predictors)
        shared = ("orderings", "_allowed_orderings", "_formulas", "_grouping", "_class_index", "latency_tables_ms")
        vars(other).update({name: getattr(self, name) for name in shared})
        return other

    def __post_init__(self) -> None:
        if not self.accuracy or set(self.accuracy) != set(self.latency):
            raise FoxnasError(
                f"search needs accuracy and latency predictors of the same image sizes, got accuracy at "
                f"{sorted(self.accuracy)} px and latency at {sorted(self.latency)} px; fit the missing ones"
            )
        if unknown := sorted(set(self.accuracy) - set(self.space.image_sizes)):
            raise FoxnasError(f"space {self.space.name} has no image size {unknown[0]}, for which predictors are given")
        for predictors in (self.accuracy, self.latency):
            for size, predictor in predictors.items():
                if predictor.image_size != size or predictor.formula.knobs != Knobs.of(self.space):
                    raise FoxnasError(
                        f"the predictor of {predictor.target} given for {size} px was fitted at "
                        f"{predictor.image_size} px or in another space than {self.space.name}; fit it again"
                    )

    @cached_property
    def image_sizes(self) -> tuple[int, ...]:
        """The image sizes searched, ascending."""
        return tuple(sorted(self.accuracy))

    @cached_property
    def unit_classes(self) -> tuple[UnitLayers, ...]:
        """The representative of each unit class."""
        return tuple(self.orderings[i] for i in self._class_members.tolist())

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Which unit classes each place may have; what tables say of the others means nothing: (unit, unit class)."""
        return self._allowed_orderings[:, self._class_members]

    @property
    def lookups(self) -> int:
        """How many unit classes an exact search looks up: those of every place, at every image size."""
        return len(self.image_sizes) * int(self.allowed.sum())

    @cached_property
    def accuracy_tables(self) -> FloatArray:
        """What each unit class adds to the sum that stands for the accuracy: (image size, unit, unit class)."""
        return self._tables(self.accuracy)

    @cached_property
    def latency_tables_ms(self) -> FloatArray:
        """What each unit class adds to the latency: (image size, unit, unit class)."""
        return self._tables(self.latency)

    @cached_property
    def accuracy_intercepts(self) -> FloatArray:
        """Intercept of each size's accuracy predictor, on the scale of its link."""
        return np.array([self.accuracy[size].intercept for size in self.image_sizes])

    @cached_property
    def links(self) -> SizeLinks:
        """Link of each size's accuracy predictor."""
        return SizeLinks([self.accuracy[size].link for size in self.image_sizes])

    def sums_of(self, classes: IndexArray) -> FloatArray:
        """Return each size's sum of accuracy for unit classes of its own: (sizes, units)."""
        added = np.take_along_axis(self.accuracy_tables, classes[..., None], axis=2)
        return np.asarray(self.accuracy_intercepts + added[..., 0].sum(axis=1))

    @cached_property
    def highest_sums(self) -> FloatArray:
        """Sum of the most accurate subnet of each size."""
        return self.sums_of(np.array([point.classes for point in self.most_accurate_by_size]))

    @cached_property
    def latency_intercepts_ms(self) -> FloatArray:
        """Intercept of each size's latency predictor."""
        return np.array([self.latency[size].intercept for size in self.image_sizes])

    def class_of(self, layers: UnitLayers) -> int:
        """Return the index of the class a unit belongs to. Raises FoxnasError for one that is not searched."""
        try:
            return self._class_index[(layers[0], *sorted(layers[1:]))]
        except KeyError:
            searched = "units of layers that are all alike" if self.alike else f"space {self.space.name}"
            raise FoxnasError(f"unit {layers} is not among the {searched}") from None

    def point_of(self, arch: Arch) -> Point:
        """Return the class of an architecture."""
        return Point(self.image_sizes.index(arch.image_size), tuple(map(self.class_of, arch.units)))

    def arch(self, point: Point) -> Arch:
        """Return the representative of a class of architectures."""
        return Arch(self.image_sizes[point.size], tuple(self.unit_classes[c] for c in point.classes))

    def predict(self, point: Point) -> tuple[float, float]:
        """Return predicted accuracy and latency (ms). Adds units up in the order every strategy does, to the bit."""
        accuracy = float(self.accuracy_intercepts[point.size])
        latency_ms = float(self.latency_intercepts_ms[point.size])
        for unit, index in enumerate(point.classes):
            accuracy += float(self.accuracy_tables[point.size, unit, index])
            latency_ms += float(self.latency_tables_ms[point.size, unit, index])
        return float(self.links.accuracy(np.array([point.size]), np.array([accuracy]))[0]), latency_ms

    def batch(self, sizes: IndexArray, classes: IndexArray) -> Batch:
        """Predict many: image sizes (n,) and unit classes (n, units). The sums are those of `predict`, to the bit."""
        units, members = self.accuracy_tables.shape[1:]
        first = (sizes * units)[:, None] + np.arange(units)
        gains = self._both_tables[first * members + classes]
        totals = self._both_intercepts[sizes]
        for unit in range(units):
            totals += gains[:, unit]
        return Batch(self, sizes, classes, self.links.accuracy(sizes, totals[:, 0]), totals[:, 1])

    def batch_of(self, points: Sequence[Point]) -> Batch:
        """Predict points."""
        sizes = np.array([point.size for point in points], dtype=np.intp)
        classes = np.array([point.classes for point in points], dtype=np.intp)
        return self.batch(sizes, classes.reshape(len(points), len(self.space.units)))

    @cached_property
    def _both_tables(self) -> FloatArray:
        """Accuracy and latency side by side, one row for each image size, unit and unit class."""
        return np.column_stack([self.accuracy_tables.ravel(), self.latency_tables_ms.ravel()])

    @cached_property
    def _both_intercepts(self) -> FloatArray:
        return np.column_stack([self.accuracy_intercepts, self.latency_intercepts_ms])

    @cached_property
    def fastest_by_size(self) -> tuple[Point, ...]:
        """The class with the lowest predicted latency of every image size."""
        best = np.where(self.allowed, self.latency_tables_ms, np.inf).argmin(axis=2)
        return tuple(Point(size, tuple(map(int, classes))) for size, classes in enumerate(best))

    @cached_property
    def most_accurate_by_size(self) -> tuple[Point, ...]:
        """The class with the highest predicted accuracy of every image size."""
        best = np.where(self.allowed, self.accuracy_tables, -np.inf).argmax(axis=2)
        return tuple(Point(size, tuple(map(int, classes))) for size, classes in enumerate(best))

    @property
    def fastest(self) -> Point:
        """The class with the lowest predicted latency of all image sizes."""
        return min(self.fastest_by_size, key=lambda point: self.predict(point)[1])

    @cached_property
    def orderings(self) -> list[UnitLayers]:
        """Every unit up to the order of its layers after the first, lexicographically ascending within a depth.

        Not every place may have each (`allowed`).
        """
        layers = self.space.layers()
        if self.alike:
            return [(layer,) * depth for depth in self.space.depths for layer in layers]
        return [
            (first, *rest)
            for depth in self.space.depths
            for first in layers
            for rest in combinations_with_replacement(layers, depth - 1)
        ]

    @cached_property
    def _allowed_orderings(self) -> NDArray[np.bool_]:
        """Which entries of `orderings` each place may have: (unit, entry)."""
        space, units = self.space, self.orderings
        by_choices = {
            choices: np.array([choices.hold(unit) for unit in units])
            for choices in {*space.choices} - {space.every_choice}
        }
        every = np.ones(len(units), dtype=bool)
        return np.stack([by_choices.get(choices, every) for choices in space.choices])

    @cached_property
    def _formulas(self) -> dict[str, FloatArray]:
        """Terms of every entry of `orderings`, by formula."""
        formulas = {p.formula.name: p.formula for p in (*self.accuracy.values(), *self.latency.values())}
        return {name: formula.unit_matrix(self.orderings) for name, formula in formulas.items()}

    @cached_property
    def _grouping(self) -> tuple[IndexArray, IndexArray]:
        """First member of each class, and the class of each entry of `orderings`."""
        if not self.merged:
            return (np.arange(len(self.orderings)),) * 2
        # What may not stand in the same places is of different classes, so that one member stands for all.
        terms = np.hstack([*self._formulas.values(), self._allowed_orderings.T]).round(9)
        # Column by column: sorting numbers is many times faster than sorting rows.
        number = np.zeros(len(terms), dtype=np.intp)
        for column in terms.T:
            values, of_row = np.unique(column, return_inverse=True)
            number = np.unique(number * len(values) + of_row, return_inverse=True)[1]
        _, first, inverse = np.unique(number, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=int)
        rank[np.argsort(first)] = np.arange(len(first))
        return np.sort(first), rank[inverse.ravel()]

    @property
    def _class_members(self) -> IndexArray:
        return self._grouping[0]

    @property
    def class_of_ordering(self) -> IndexArray:
        """The class of each entry of `orderings`."""
        return self._grouping[1]

    @cached_property
    def _class_index(self) -> dict[UnitLayers, int]:
        return dict(zip(self.orderings, self._grouping[1].tolist(), strict=True))

    def _tables(self, predictors: Mapping[int, Predictor]) -> FloatArray:
        rows = []
        for size in self.image_sizes:
            formula = predictors[size].formula
            terms = self._formulas[formula.name][self._class_members]
            rows.append((terms @ formula.by_unit(predictors[size].coefficients)).T)
        return np.stack(rows)
