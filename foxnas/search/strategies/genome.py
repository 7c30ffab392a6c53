"""Architectures as rows of genes, for strategies that draw, cross and mutate many at once.

A gene is the index of a choice of its unit: the image size first, then for each unit its depth and, for every place up
to the largest depth, K and E of the layer (once for the unit when its layers are all alike). Genes of places beyond the
depth are carried along and mean nothing, as in Once-for-All's encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product

import numpy as np

from foxnas.search.landscape import IndexArray, Landscape, Point
from foxnas.space.layers import UnitChoices
from foxnas.space.terms import FloatArray


@dataclass(frozen=True, eq=False)
class Genome:
    """The genes of a landscape's architectures."""

    landscape: Landscape

    @cached_property
    def places(self) -> int:
        """Layers of a unit that have genes."""
        return 1 if self.landscape.alike else self.landscape.space.depths[-1]

    @cached_property
    def choices(self) -> IndexArray:
        """Number of choices of each gene."""
        units = [self._counts(choices) for choices in self.landscape.space.choices]
        return np.array([len(self.landscape.image_sizes), *chain.from_iterable(units)])

    def _counts(self, choices: UnitChoices) -> list[int]:
        """Return the number of choices of each gene of a unit."""
        return [len(choices.depths), *[len(choices.kernel_sizes), len(choices.expansion_ratios)] * self.places]

    def draw(self, count: int, rng: np.random.Generator) -> IndexArray:
        """Return random rows of genes, uniform over knobs as `SearchSpace.draw` is."""
        return rng.integers(self.choices, size=(count, len(self.choices)))

    def mutate(self, genes: IndexArray, probability: FloatArray, rng: np.random.Generator) -> IndexArray:
        """Return a copy in which each gene is drawn anew, among all its choices, with its probability."""
        return np.where(rng.random(genes.shape) < probability, self.draw(len(genes), rng), genes)

    def decode(self, genes: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return image sizes (n,) and unit classes (n, units) of rows of genes."""
        units = genes[:, 1:]
        if self._of_space is not None:
            units = self._of_space[np.arange(units.shape[1]), units]
        units = units.reshape(len(genes), len(self.landscape.space.units), -1)
        return genes[:, 0], self._class_of[units @ self._radix]

    def encode(self, points: list[Point]) -> IndexArray:
        """Return the genes of the representatives of points; beyond a unit's depth its last layer is repeated."""
        genes = np.array([[point.size, *self.class_genes[list(point.classes)].ravel()] for point in points])
        if self._of_space is not None:
            # The index of a choice in the space, among those of the unit.
            genes[:, 1:] = (self._of_space[None] < genes[:, 1:, None]).sum(axis=2)
        return genes

    @cached_property
    def class_genes(self) -> IndexArray:
        """The genes of each class's representative, as of a unit with all choices: (unit class, genes of a unit)."""
        space = self.landscape.space
        kernels, ratios, depths = (
            {choice: index for index, choice in enumerate(choices)}
            for choices in (space.kernel_sizes, space.expansion_ratios, space.depths)
        )
        rows = []
        for unit in self.landscape.unit_classes:
            layers = (*unit, *unit[-1:] * (self.places - len(unit)))[: self.places]
            rows.append([depths[len(unit)], *(gene for k, e in layers for gene in (kernels[k], ratios[e]))])
        return np.array(rows)

    @property
    def depth_of_class(self) -> IndexArray:
        """The depth of each unit class."""
        return np.array(self.landscape.space.depths)[self.class_genes[:, 0]]

    def classes_of(self, units: IndexArray) -> IndexArray:
        """Return the classes of units, given as rows of a unit's genes, as of one with all choices."""
        return self._class_of[units @ self._radix]

    @cached_property
    def _of_space(self) -> IndexArray | None:
        """The index among the space's choices of every choice of each gene of the units, or None where it is the same.

        Beyond a gene's choices stands a large number: (gene, choice).
        """
        space = self.landscape.space
        every = space.every_choice
        if set(space.choices) == {every}:
            return None
        rows = []
        for unit in space.choices:
            knobs = ("depths", *("kernel_sizes", "expansion_ratios") * self.places)
            rows += [[getattr(every, knob).index(choice) for choice in getattr(unit, knob)] for knob in knobs]
        widest, large = max(map(len, rows)), np.iinfo(np.intp).max
        return np.array([row + [large] * (widest - len(row)) for row in rows])

    @cached_property
    def _radix(self) -> IndexArray:
        """What a unit's genes are multiplied with to number all rows of them."""
        counts = np.array(self._counts(self.landscape.space.every_choice))
        return np.r_[np.cumprod(counts[:0:-1])[::-1], 1]

    @cached_property
    def _class_of(self) -> IndexArray:
        """The class of every row of a unit's genes, in the order of `_radix`."""
        landscape, layers = self.landscape, self.landscape.space.layers()
        found = []
        for depth in landscape.space.depths:
            if landscape.alike:
                found += [landscape.class_of((layer,) * depth) for layer in layers]
            else:
                of_depth = np.array([landscape.class_of(unit) for unit in product(layers, repeat=depth)])
                found += np.repeat(of_depth, len(layers) ** (self.places - depth)).tolist()
        return np.array(found)
