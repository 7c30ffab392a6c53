"""Table of what each change of one knob leads to, so that many chains step with a few array look-ups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from foxnas.search.landscape import IndexArray, Landscape
from foxnas.search.strategies.genome import Genome
from foxnas.search.strategies.guidance import Knob, knobs_of, possible_values, values_of
from foxnas.space.terms import FloatArray

#: Share of the moves on the layers after the first that change one layer only; the others make them all alike.
ONE_LAYER = 0.3


class Moves:
    """Moves of states, which are rows of an image size's index and a unit class for each unit.

    A knob is one of the paper's parameters. D: the last layers are dropped, or the last one is repeated (a random one
    would nearly always look bad at first). K and E of the layers after the first: all are set to a value, or one is.

    Attributes
    ----------
    knobs
        Every knob with several values.
    values
        The number of values of each in the space; of some its unit may have fewer (`possible`).
    """

    def __init__(self, landscape: Landscape) -> None:
        self.knobs: tuple[Knob, ...] = knobs_of(landscape)
        space, self._genome = landscape.space, Genome(landscape)
        counts = {kind: len(values_of(space.every_choice, kind)) for kind in ("D", "K", "E")}
        counts["size"] = len(landscape.image_sizes)
        self.values = [counts[knob.kind.split("_")[0]] for knob in self.knobs]
        self.possible = [
            np.ones(count, dtype=bool) if knob.kind == "size" else possible_values(space, knob)
            for knob, count in zip(self.knobs, self.values, strict=True)
        ]
        kinds = list(dict.fromkeys(knob.kind for knob in self.knobs))
        self._kind = np.array([kinds.index(knob.kind) for knob in self.knobs])
        self._column = np.array([0 if knob.kind == "size" else 1 + knob.unit for knob in self.knobs])
        self._one_layer = np.array([ONE_LAYER * knob.kind.endswith("rest") for knob in self.knobs])
        self._variants = max(self._genome.places - 1, 1)
        codes = max(len(landscape.unit_classes), len(landscape.image_sizes))
        # The code that each one becomes when the knob takes a value, in all layers or in one of them.
        self._to = np.zeros((len(kinds), codes, max(self.values), 1 + self._variants), dtype=np.intp)
        # Which codes each column of a state may have; None: all that there are.
        self._allowed: NDArray[np.bool_] | None = None
        if not landscape.allowed.all():
            self._allowed = np.ones((1 + len(space.units), codes), dtype=bool)
            self._allowed[1:, : len(landscape.unit_classes)] = landscape.allowed
        for k, kind in enumerate(kinds):
            for value, variant in product(range(counts[kind.split("_")[0]]), range(1 + self._variants)):
                reached = value if kind == "size" else self._changed(kind, value, variant)
                self._to[k, : np.size(reached) if kind != "size" else codes, value, variant] = reached

    def draw(
        self, weights: FloatArray, values: Sequence[FloatArray], steps: int, chains: int, count: int,
        rng: np.random.Generator,
    ) -> Iterator[tuple[IndexArray, IndexArray, IndexArray]]:  # fmt: skip
        """Yield for each of `steps` the knobs, their new values and variants: (chains, T) each.

        T = min(count, knobs with weight) knobs are drawn by `weights` without replacement; `values` are the
        probabilities of each knob's values.
        """
        known = np.flatnonzero(weights > 0)
        shape, taken = (steps, chains), min(count, len(known))
        # The first arrivals of independent exponential clocks are a weighted draw without replacement.
        clocks = rng.standard_exponential((*shape, len(known))) / weights[known]
        if taken == 1:
            knobs = known[clocks.argmin(axis=-1)][..., None]
        else:
            knobs = known[np.argpartition(clocks, taken - 1, axis=-1)[..., :taken]]
        bounds = np.full((len(self.knobs), max(self.values)), np.inf)
        for knob, probability in enumerate(values):
            bounds[knob, : len(probability) - 1] = np.cumsum(probability)[:-1]
        uniform = rng.random((3, *knobs.shape))
        drawn = (uniform[0][..., None] >= bounds[knobs]).sum(axis=-1)
        one = uniform[1] < self._one_layer[knobs]
        variants = np.where(one, 1 + (uniform[2] * self._variants).astype(np.intp), 0)
        yield from zip(knobs, drawn, variants, strict=True)

    def apply(self, states: IndexArray, knobs: IndexArray, values: IndexArray, variants: IndexArray) -> IndexArray:
        """Return states (n, 1 + units) with `knobs` (n, T) changed, one after the other."""
        changed, rows = states.copy(), np.arange(len(states))
        columns, kinds = self._column[knobs], self._kind[knobs]
        for j in range(knobs.shape[1]):
            code = changed[rows, columns[:, j]]
            reached = self._to[kinds[:, j], code, values[:, j], variants[:, j]]
            if self._allowed is not None:
                # A value that the unit has not changes nothing.
                reached = np.where(self._allowed[columns[:, j], reached], reached, code)
            changed[rows, columns[:, j]] = reached
        return changed

    def around(self, state: IndexArray) -> IndexArray:
        """Return every state that differs from one state in one knob, or in two of different units: (n, 1 + units)."""
        reached: dict[int, IndexArray] = {}
        for column in np.unique(self._column):
            kinds = np.unique(self._kind[self._column == column])
            codes = np.unique(self._to[kinds, state[column]])
            if self._allowed is not None:
                codes = codes[self._allowed[column, codes]]
            reached[int(column)] = codes[codes != state[column]]
        parts = []
        for column, codes in reached.items():
            single = np.repeat(state[None], len(codes), axis=0)
            single[:, column] = codes
            parts.append(single)
        for (one, codes), (other, others) in combinations(reached.items(), 2):
            pair = np.repeat(state[None], len(codes) * len(others), axis=0)
            pair[:, one] = np.repeat(codes, len(others))
            pair[:, other] = np.tile(others, len(codes))
            parts.append(pair)
        return np.concatenate(parts)

    def _changed(self, kind: str, value: int, variant: int) -> IndexArray:
        """Return the class that each unit class becomes."""
        unit = self._genome.class_genes.copy()
        if kind == "D":
            # Genes beyond the depth repeat the last layer, so only the depth has to change.
            unit[:, 0] = value
            return self._genome.classes_of(unit)
        first = 1 if kind[0] == "K" else 2
        if not kind.endswith("rest"):
            unit[:, first] = value
        elif variant == 0:
            unit[:, first + 2 :: 2] = value
        else:
            later = np.maximum(self._genome.depth_of_class - 1, 1)
            unit[np.arange(len(unit)), first + 2 * (1 + (variant - 1) % later)] = value
        return self._genome.classes_of(unit)
