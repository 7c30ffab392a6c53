"""What a change of one knob can lead to, tabulated: a walk of many chains is then a few array look-ups a step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foxnas.features import FloatArray
from foxnas.search.genome import Genome
from foxnas.search.guidance import Knob, knobs_of
from foxnas.search.landscape import IndexArray, Landscape

#: Share of the moves on the layers after the first that change one layer only; the others make them all alike.
ONE_LAYER = 0.3


class Moves:
    """Moves of states, which are rows of an image size's index and a unit class for each unit.

    A knob is one of the paper's parameters; changing it gives it another value, uniformly. D: the last layers are
    dropped, or the last one is repeated (a random one would nearly always look bad at first). K and E of the layers
    after the first: one of the layers is changed, or all are set to one value.
    """

    def __init__(self, landscape: Landscape) -> None:
        self.knobs: tuple[Knob, ...] = knobs_of(landscape)
        kinds = list(dict.fromkeys(knob.kind for knob in self.knobs))
        self._kind = np.array([kinds.index(knob.kind) for knob in self.knobs])
        self._column = np.array([0 if knob.kind == "size" else 1 + knob.unit for knob in self.knobs])
        self._landscape = landscape
        self._genome = Genome(landscape)
        options = [[self._options(kind, one) for one in (False, True)] for kind in kinds]
        codes = max(len(landscape.unit_classes), len(landscape.image_sizes))
        most = max(len(o) for pair in options for per_code in pair for o in per_code)
        self._to = np.zeros((len(kinds), 2, codes, most), dtype=np.intp)
        self._count = np.ones((len(kinds), 2, codes), dtype=np.intp)
        for k, pair in enumerate(options):
            for one, per_code in enumerate(pair):
                for code, reached in enumerate(per_code):
                    self._to[k, one, code, : len(reached)] = reached
                    self._count[k, one, code] = len(reached)

    def draw(self, weights: FloatArray, shape: tuple[int, ...], count: int, rng: np.random.Generator) -> IndexArray:
        """Return min(count, knobs with weight) distinct knobs for each entry of `shape`, in the last axis."""
        known = np.flatnonzero(weights > 0)
        count = min(count, len(known))
        if count == 1:
            cumulative = np.cumsum(weights[known])
            drawn = np.searchsorted(cumulative, rng.random(shape) * cumulative[-1], side="right")
            return known[np.minimum(drawn, len(known) - 1)][..., None]
        # The first arrivals of independent exponential clocks are a weighted draw without replacement.
        clocks = rng.standard_exponential((*shape, len(known))) / weights[known]
        return known[np.argpartition(clocks, count - 1, axis=-1)[..., :count]]

    def apply(self, states: IndexArray, knobs: IndexArray, uniform: FloatArray) -> IndexArray:
        """Return states (n, 1 + units) with `knobs` (n, T) changed; `uniform` (n, T, 2) are the random numbers."""
        changed, rows = states.copy(), np.arange(len(states))
        for j in range(knobs.shape[1]):
            knob = knobs[:, j]
            column, kind = self._column[knob], self._kind[knob]
            one = (uniform[:, j, 0] < ONE_LAYER).astype(np.intp)
            code = changed[rows, column]
            pick = (uniform[:, j, 1] * self._count[kind, one, code]).astype(np.intp)
            changed[rows, column] = self._to[kind, one, code, pick]
        return changed

    def _options(self, kind: str, one: bool) -> list[list[int]]:
        """The codes within reach of each code; a code that nothing else is in reach of reaches itself."""
        landscape = self._landscape
        if kind == "size":
            sizes = range(len(landscape.image_sizes))
            return [[other for other in sizes if other != size] or [size] for size in sizes]
        unit = self._genome.class_genes
        own = np.arange(len(unit))
        reached = np.stack([self._genome.classes_of(changed) for changed in self._changed(unit, kind, one)], axis=1)
        return [sorted(set(row) - {code}) or [code] for code, row in zip(own.tolist(), reached.tolist(), strict=True)]

    def _changed(self, unit: IndexArray, kind: str, one: bool) -> Iterator[IndexArray]:
        space, places = self._landscape.space, self._genome.places
        if kind == "D":
            # Genes beyond the depth repeat the last layer, so only the depth has to change.
            for depth in range(len(space.depths)):
                changed = unit.copy()
                changed[:, 0] = depth
                yield changed
            return
        first = 1 if kind[0] == "K" else 2
        values = range(len(space.kernel_sizes if kind[0] == "K" else space.expansion_ratios))
        later = [first + 2 * place for place in range(1, places)]
        columns = [[first]] if not kind.endswith("rest") else [[column] for column in later] if one else [later]
        for column in columns:
            for value in values:
                changed = unit.copy()
                changed[:, column] = value
                yield changed


class Draws:
    """Random numbers of a walk, a block of steps at a time: small calls cost more than the numbers."""

    BLOCK = 64

    def __init__(self, moves: Moves, weights: FloatArray, chains: int, count: int, rng: np.random.Generator) -> None:
        self._moves, self._weights, self._chains, self._count, self._rng = moves, weights, chains, count, rng

    def steps(self, number: int) -> Iterator[tuple[IndexArray, FloatArray, FloatArray]]:
        """Yield the knobs, the uniform numbers of the moves, and those of the acceptance, for `number` steps."""
        for start in range(0, number, self.BLOCK):
            block = min(self.BLOCK, number - start)
            knobs = self._moves.draw(self._weights, (block, self._chains), self._count, self._rng)
            uniform = self._rng.random((block, self._chains, knobs.shape[2], 2))
            yield from zip(knobs, uniform, self._rng.random((block, self._chains)), strict=True)
