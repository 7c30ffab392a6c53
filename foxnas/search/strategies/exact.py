"""The exact latency-accuracy frontier: every budget at once, and the certificate of every other search.

Predicted accuracy and latency are sums over units (accuracy may be a rising function of one, within an image size), so
the best architecture under a budget is a multiple-choice knapsack. A unit that another unit of the same place beats in
both can be dropped, and so can a beaten combination of the first few units, because whatever follows adds the same to
both. What is left after the last unit is the frontier, of all 10^22 architectures, in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Batch, Landscape, Point
from foxnas.search.problem import Candidate, Infeasible, InfeasibleBudget, SearchProblem, SearchResult, TracePoint
from foxnas.search.selection import Selection, conclude, describe
from foxnas.space.terms import FloatArray

IndexArray = NDArray[np.intp]

#: Bins of latency by which points are sifted before they are sorted.
_BINS = 512


@dataclass(frozen=True, eq=False)
class Frontier:
    """All architectures that no other beats: latency ascending, accuracy strictly ascending.

    "Optimal" means for the predictors. Of classes that tie exactly in both, one is listed.

    Attributes
    ----------
    landscape
        The predictors.
    latency_ms, accuracy
        One entry per point.
    """

    landscape: Landscape
    latency_ms: FloatArray
    accuracy: FloatArray
    _size: IndexArray
    _classes: IndexArray

    def __len__(self) -> int:
        return len(self.latency_ms)

    def point(self, index: int) -> Point:
        """Return the class of architectures at an index."""
        return Point(int(self._size[index]), tuple(map(int, self._classes[index])))

    @cached_property
    def batch(self) -> Batch:
        """All points as arrays."""
        return Batch(self.landscape, self._size, self._classes, self.accuracy, self.latency_ms)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every point with its representative, intervals and leverages."""
        return describe(self.landscape, [self.point(i) for i in range(len(self))])

    def index_under(self, budget_ms: float) -> int:
        """Return the index of the most accurate point with latency <= budget. Raises InfeasibleBudget."""
        index = int(np.searchsorted(self.latency_ms, budget_ms, side="right")) - 1
        if index < 0:
            raise InfeasibleBudget(budget_ms, self.landscape.arch(self.point(0)), float(self.latency_ms[0]))
        return index

    def best_under(self, budget_ms: float) -> Candidate:
        """Return the most accurate architecture with latency <= budget. Raises InfeasibleBudget."""
        return describe(self.landscape, [self.point(self.index_under(budget_ms))])[0]


def frontier(landscape: Landscape) -> Frontier:
    """Return the exact frontier over all image sizes of the landscape."""
    parts = [_frontier_of_size(landscape, size) for size in range(len(landscape.image_sizes))]
    latency_ms = np.concatenate([p[0] for p in parts])
    accuracy = np.concatenate([p[1] for p in parts])
    sizes = np.repeat(np.arange(len(parts)), [len(p[0]) for p in parts])
    # Sums of two sizes may be of two scales, so that sizes meet as accuracies.
    accuracy = landscape.links.accuracy(sizes, accuracy)
    classes = np.concatenate([p[2] for p in parts])
    kept = pareto(latency_ms, accuracy)
    return Frontier(landscape, latency_ms[kept], accuracy[kept], sizes[kept], classes[kept])


def search(problem: SearchProblem, settings: Selection, rng: np.random.Generator) -> SearchResult:
    """Return the frontier's best points for the problem, through the interface of all strategies.

    The first candidate is the proven optimum; under the paper's objective the others are optimal for tighter budgets.
    `rng` is not used. `calls` counts unit classes looked up, the only predictions made. Raises Infeasible, and
    FoxnasError when the optimum need not lie on the latency-accuracy frontier (`SearchProblem.monotone`).
    """
    if not problem.monotone:
        names = [problem.objective.name, *(cap.name for cap in problem.caps)]
        raise FoxnasError(
            f"exact search needs an objective and caps of predicted accuracy and latency alone, got "
            f"{', '.join(names)}; take annealing, evolution, regularised, autoshrink or random"
        )
    problem.require_feasible()
    front = frontier(problem.landscape)
    values = problem.values(front.batch)
    feasible = np.flatnonzero(values > -np.inf)
    if not len(feasible):
        nearest = front.point(int(problem.excess(front.batch).argmin()))
        raise Infeasible(
            f"no architecture keeps every cap: {', '.join(cap.name for cap in problem.all_caps)}; of the frontier, "
            f"{problem.landscape.arch(nearest).text} comes closest; raise a limit",
            problem.landscape.arch(nearest),
        )
    points = [front.point(i) for i in feasible[np.argsort(-values[feasible], kind="stable")]]
    best = int(values.argmax())
    calls = problem.landscape.lookups
    trace = TracePoint(0, calls, values[best], values[best], float(front.latency_ms[best]), 0.0, 0)
    return conclude("exact", problem, points, settings, calls, [trace])


def pareto(latency: FloatArray, accuracy: FloatArray) -> IndexArray:
    """Return the indices of the points that no other beats, latency ascending; of equal points the first."""
    open_points = _not_beaten_by_bins(latency, accuracy)
    latency, accuracy = latency[open_points], accuracy[open_points]
    order = np.argsort(latency, kind="stable")
    best = np.maximum.accumulate(accuracy[order])
    rises = np.r_[True, best[1:] > best[:-1]]
    kept = order[rises]
    # Among points of equal latency only the last rise is the highest.
    return open_points[kept[np.r_[latency[kept][1:] > latency[kept][:-1], True]]]


def _not_beaten_by_bins(latency: FloatArray, accuracy: FloatArray) -> IndexArray:
    """Return the indices of points that no point of a lower bin of latency beats: most of many, without sorting them.

    A lower bin means a lower latency, so that what is left out is beaten, and nothing else is.
    """
    low, width = float(latency.min()), float(np.ptp(latency))
    if len(latency) < 4 * _BINS or not width > 0:
        return np.arange(len(latency))
    bins = ((latency - low) * (_BINS / width)).astype(np.intp)
    highest = np.full(int(bins.max()) + 1, -np.inf)
    np.maximum.at(highest, bins, accuracy)
    below = np.r_[-np.inf, np.maximum.accumulate(highest)[:-1]]
    return np.flatnonzero(accuracy > below[bins])


def _frontier_of_size(landscape: Landscape, size: int) -> tuple[FloatArray, FloatArray, IndexArray]:
    """Return latency, sum of accuracy and classes of one image size's frontier."""
    latency = landscape.latency_intercepts_ms[[size]]
    accuracy = landscape.accuracy_intercepts[[size]]
    classes = np.empty((1, 0), dtype=np.intp)
    for unit_latency, unit_accuracy, allowed in zip(
        landscape.latency_tables_ms[size], landscape.accuracy_tables[size], landscape.allowed, strict=True
    ):
        known = np.flatnonzero(allowed)
        options = known[pareto(unit_latency[known], unit_accuracy[known])]
        latencies = (latency[:, None] + unit_latency[options]).ravel()
        accuracies = (accuracy[:, None] + unit_accuracy[options]).ravel()
        kept = pareto(latencies, accuracies)
        before, option = np.divmod(kept, len(options))
        latency, accuracy = latencies[kept], accuracies[kept]
        classes = np.column_stack([classes[before], options[option]])
    return latency, accuracy, classes
