"""AutoShrink (Zhang et al., AAAI 2020, arXiv 1911.09251), on the graph of a space's choices.

Theirs shrinks a cell, a graph of operations: of the graphs with one edge less, k = 10 at random are trained for 20
epochs each, the edge whose absence scores best is gone for good, and so on; the best graph on the way is taken
(`MetaGraph.auto_shrink` of their code). A score there is accuracy - 0.1 x log10(MACs / 10^6).

Here a graph's edges are the choices of every knob: image sizes, depths, K and E of each layer. It stands for all
subnets that can be walked along it, not for a network, so it departs from theirs in four ways. (1) A graph's score is
the share of its subnets that belong to the best of those looked at. (2) Subnets are drawn from the graph as it is, and
those that do without an edge are draws from the graph without it: one set of subnets scores every edge, so that all are
candidates, and what is still in the graph serves the next step, too. (3) Best is by the problem's objective, whatever
keeps the caps before what breaks them, and that in the order of its excess. (4) It ends when one architecture is left;
the result is the best of all that were looked at. As in theirs, edges that nothing leads to any more, those of layers
beyond the largest depth left, are gone by themselves. The number of subnets looked at is its whole cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.search.landscape import IndexArray
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.record import Record
from foxnas.search.selection import Selection
from foxnas.search.strategies.genome import Genome
from foxnas.space.terms import FloatArray

#: Fewer subnets than this tell nothing about an edge.
_FEWEST = 8


@dataclass(frozen=True)
class AutoShrinkSettings:
    """Settings of shrinking.

    Attributes
    ----------
    calls
        Subnets looked at, about: a step's draws are as many as that allows, 8 at least.
    best_share
        Share of a step's subnets that count as the best.
    selection
        Which architectures become candidates.
    """

    calls: int = 10_000
    best_share: float = 0.1
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise FoxnasError(f"autoshrink: calls {self.calls} must be at least 1")
        if not 0 < self.best_share < 1:
            raise FoxnasError(f"autoshrink: best_share {self.best_share} must be above 0 and below 1")


def search(problem: SearchProblem, settings: AutoShrinkSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best of what was looked at until one architecture was left. Reproducible by the generator's seed.

    When nothing kept the caps, the only candidate is a start. Raises Infeasible.
    """
    problem.require_feasible()
    record, graph = Record(problem, settings.selection), Graph(Genome(problem.landscape))
    wanted = max(round(settings.calls / graph.draws_used), _FEWEST)
    genes = np.empty((0, len(graph.left)), dtype=np.intp)
    values, excess = np.empty(0), np.empty(0)
    while True:
        fresh = graph.draw(max(wanted - len(genes), 0), rng)
        genes = np.concatenate([genes, fresh])
        sizes, classes = graph.genome.decode(fresh)
        found = record.see(sizes, classes)
        values = np.concatenate([values, found])
        over = np.zeros(len(fresh))
        broken = np.flatnonzero(found == -np.inf)
        if len(broken):
            over[broken] = problem.excess(problem.landscape.batch(sizes[broken], classes[broken]))
        excess = np.concatenate([excess, over])
        edge = graph.weakest(genes, best_of(values, excess, settings.best_share))
        if edge is None:
            return record.finish("autoshrink")
        graph.left[edge] = False
        kept = genes[:, edge[0]] != edge[1]
        genes, values, excess = genes[kept], values[kept], excess[kept]


def best_of(values: FloatArray, excess: FloatArray, share: float) -> NDArray[np.bool_]:
    """Return which subnets belong to the best share: by value, then, below all that keep the caps, by excess."""
    order = np.lexsort((-values, excess))
    best = np.zeros(len(values), dtype=bool)
    best[order[: max(round(share * len(values)), 1)]] = True
    return best


class Graph:
    """What is left of a space's choices."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        #: Which edges there are: (gene, choice).
        self.left = np.arange(genome.choices.max()) < genome.choices[:, None]

    @property
    def draws_used(self) -> float:
        """How many times a step's draws are drawn until one architecture is left, at most.

        Taking one of c choices away takes a c-th of the draws away.
        """
        return float(1 + sum((1 / np.arange(2, count + 1)).sum() for count in self.left.sum(axis=1)))

    def draw(self, count: int, rng: np.random.Generator) -> IndexArray:
        """Return random rows of genes, uniform over what is left of each knob."""
        ordered = np.argsort(~self.left, axis=1, kind="stable")
        picked = rng.integers(self.left.sum(axis=1), size=(count, len(self.left)))
        return ordered[np.arange(len(self.left)), picked]

    def weakest(self, genes: IndexArray, best: NDArray[np.bool_]) -> tuple[int, int] | None:
        """Return the edge without which the largest share of the subnets drawn are best; None: no choice is left."""
        open_knobs = self._walked(self._deepest)[0] & (self.left.sum(axis=1) > 1)
        if not open_knobs.any():
            return None
        walked, scores = self._walked(genes), np.full(self.left.shape, -np.inf)
        for choice in range(int(self.genome.choices.max())):
            along = walked & (genes == choice)
            without = len(genes) - along.sum(axis=0)
            share = (best.sum() - best.astype(float) @ along) / np.maximum(without, 1)
            scores[:, choice] = np.where(without > 0, share, -1.0)
        gene, choice = divmod(int(np.where(self.left & open_knobs[:, None], scores, -np.inf).argmax()), len(scores.T))
        return gene, choice

    @property
    def _deepest(self) -> IndexArray:
        """A row of genes of the largest choices left."""
        return (self.left.shape[1] - 1 - self.left[:, ::-1].argmax(axis=1))[None]

    @cached_property
    def _places(self) -> tuple[IndexArray, IndexArray]:
        """The unit of each gene after the first, and the place of its layer; -1: the unit's depth."""
        units = len(self.genome.landscape.space.units)
        of_unit = np.r_[-1, np.repeat(np.arange(self.genome.places), 2)]
        return np.repeat(np.arange(units), len(of_unit)), np.tile(of_unit, units)

    def _walked(self, genes: IndexArray) -> NDArray[np.bool_]:
        """Return which knobs rows of genes have: not those of layers beyond their depth."""
        units, places = self._places
        depths = [
            np.array(choices.depths)[genes[:, 1:][:, (units == unit) & (places < 0)][:, 0]]
            for unit, choices in enumerate(self.genome.landscape.space.choices)
        ]
        there = np.stack(depths, axis=1)[:, units] > places
        return np.column_stack([np.ones(len(genes), dtype=bool), there])
