"""Predicted accuracy and latency of every unit of a space, tabulated: what all strategies search on.

A prediction is an intercept plus one value per unit, so a table of (image size, unit, unit class) holds the whole
space. A *unit class* is a set of units that the predictors cannot tell apart: the layers after the first in any
order, and any layers with the same averages. Its representative is the lexicographically smallest member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.features import FloatArray, Knobs
from foxnas.predictor.model import Predictor
from foxnas.space import Arch, Layer, SearchSpace

UnitLayers = tuple[Layer, ...]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Point:
    """A class of architectures: an index into `Landscape.image_sizes` and a unit class for each place."""

    size: int
    classes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Landscape:
    """The predictors of one device over all image sizes.

    Parameters
    ----------
    space
        The space they were fitted in.
    accuracy, latency
        One predictor for each image size; the sizes searched are their keys.
    """

    space: SearchSpace
    accuracy: Mapping[int, Predictor]
    latency: Mapping[int, Predictor]

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
    def accuracy_tables(self) -> FloatArray:
        """What each unit class adds to the accuracy: (image size, unit, unit class)."""
        return self._tables(self.accuracy)

    @cached_property
    def latency_tables_ms(self) -> FloatArray:
        """What each unit class adds to the latency: (image size, unit, unit class)."""
        return self._tables(self.latency)

    @cached_property
    def accuracy_intercepts(self) -> FloatArray:
        """Intercept of each size's accuracy predictor."""
        return np.array([self.accuracy[size].intercept for size in self.image_sizes])

    @cached_property
    def latency_intercepts_ms(self) -> FloatArray:
        """Intercept of each size's latency predictor."""
        return np.array([self.latency[size].intercept for size in self.image_sizes])

    def class_of(self, layers: UnitLayers) -> int:
        """Return the index of the class a unit belongs to."""
        return self._class_index[(layers[0], *sorted(layers[1:]))]

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
        return accuracy, latency_ms

    @cached_property
    def fastest_by_size(self) -> tuple[Point, ...]:
        """The class with the lowest predicted latency of every image size."""
        best = self.latency_tables_ms.argmin(axis=2)
        return tuple(Point(size, tuple(map(int, classes))) for size, classes in enumerate(best))

    @property
    def fastest(self) -> Point:
        """The class with the lowest predicted latency of all."""
        return min(self.fastest_by_size, key=lambda point: self.predict(point)[1])

    @cached_property
    def orderings(self) -> list[UnitLayers]:
        """Every unit up to the order of its layers after the first, lexicographically ascending within a depth."""
        layers = self.space.layers()
        return [
            (first, *rest)
            for depth in self.space.depths
            for first in layers
            for rest in combinations_with_replacement(layers, depth - 1)
        ]

    @cached_property
    def _formulas(self) -> dict[str, FloatArray]:
        """Terms of every entry of `orderings`, by formula."""
        formulas = {p.formula.name: p.formula for p in (*self.accuracy.values(), *self.latency.values())}
        return {name: formula.unit_matrix(self.orderings) for name, formula in formulas.items()}

    @cached_property
    def _grouping(self) -> tuple[IndexArray, IndexArray]:
        """First member of each class, and the class of each entry of `orderings`."""
        terms = np.hstack(list(self._formulas.values())).round(9)
        _, first, inverse = np.unique(terms, axis=0, return_index=True, return_inverse=True)
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
