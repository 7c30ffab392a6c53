"""A search problem at one image size as a knapsack.

Options are unit classes that tell multisets of (K, E) apart; of those that agree in everything that is asked for, one
is kept. Activation memory is a maximum, so its cap only takes options away.

Where the link of an accuracy bends, what adds up is the sum that stands for it: the most accurate subnet of an image
size has the largest sum. A price of latency needs accuracies themselves: they are concave in the sum, so a tangent
bounds them from above, and a solution of at least a given value is among those whose tangent reaches it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.predictor.link import IDENTITY, Link
from foxnas.search.capped.knapsack import Knapsack
from foxnas.search.goal import Linear
from foxnas.search.landscape import IndexArray
from foxnas.search.objectives import CostCap, Lack, PredictedCost
from foxnas.search.problem import SearchProblem
from foxnas.space.costs import COSTS
from foxnas.space.terms import FloatArray

#: Tangents of a link that bends, each at the relaxation's optimum under the one before.
_TANGENTS = 4


class Part(NamedTuple):
    """The problem at one image size. Of a knapsack's value, `value` is the objective's, or a bound of it."""

    size: int
    knapsack: Knapsack
    classes: tuple[IndexArray, ...]
    """The unit class of each of its groups' options."""
    offset: float
    """What a knapsack's value lacks of the sum over the whole subnet."""
    link: Link
    """From that sum to the objective's value."""

    def value(self, total: float) -> float:
        """Return the objective's value, at most, of solutions of a knapsack's value."""
        return float(self.link.inverse(total + self.offset))

    def total(self, value: float) -> float:
        """Return the least of a knapsack's value that solutions of an objective's value have."""
        return float(self.link.forward(value)) - self.offset

    @property
    def bound(self) -> float:
        """No solution's value of the objective is above it."""
        return self.value(self.knapsack.bound)


def part_of(problem: SearchProblem, weights: Linear, size: int) -> Part | None:
    """Return the problem at an image size (an index), with `weights` as the objective; None without a subnet.

    Raises FoxnasError for a cap that does not add up.
    """
    landscape = problem.landscape
    link, latency_ms = landscape.links.each[size], landscape.latency_tables_ms[size]
    if link != IDENTITY and weights == Linear(1.0, 0.0):
        return _part(problem, size, landscape.accuracy_tables[size], landscape.accuracy_intercepts[size], link)
    sums, found = landscape.highest_sums, None
    for _ in range(1 if link == IDENTITY or weights.accuracy == 0 else _TANGENTS):
        offset, slope = (both[size] for both in landscape.links.tangents(sums))
        value = weights.accuracy * slope * landscape.accuracy_tables[size] + weights.latency_ms * latency_ms
        fixed = weights.accuracy * (offset + slope * landscape.accuracy_intercepts[size])
        fixed += weights.latency_ms * landscape.latency_intercepts_ms[size]
        found = _part(problem, size, value, fixed, IDENTITY)
        if found is None:
            return None
        best = np.array([c[o] for c, o in zip(found.classes, found.knapsack.best_nets, strict=True)])
        sums = landscape.sums_of(np.repeat(best[None], len(sums), axis=0))
    return found


def _part(problem: SearchProblem, size: int, value: FloatArray, offset: float, link: Link) -> Part | None:
    """Return the part whose options have values: (unit, unit class)."""
    landscape = problem.landscape
    latency_ms = landscape.latency_tables_ms[size]
    rows, capacity = [], []
    allowed = landscape.allowed.copy()
    if problem.budget_ms < np.inf:
        rows.append(latency_ms)
        capacity.append(problem.budget_ms - landscape.latency_intercepts_ms[size])
    for cap in problem.caps:
        if isinstance(cap.cost, Lack):
            floor = landscape.links.each[size].forward(-cap.limit)
            if floor == np.inf:
                return None
            rows.append(-landscape.accuracy_tables[size])
            capacity.append(landscape.accuracy_intercepts[size] - floor)
        elif isinstance(cap.cost, PredictedCost) and not landscape.merged:
            rows.append(cap.cost.landscape.latency_tables_ms[size])
            capacity.append(cap.limit - cap.cost.landscape.latency_intercepts_ms[size])
        elif isinstance(cap.cost, CostCap) and cap.cost.costs.landscape is landscape and not landscape.merged:
            fixed = cap.cost.costs.layers.fixed[size, cap.cost.index]
            table = cap.cost.costs.by_class[size, ..., cap.cost.index].astype(float)
            if COSTS[cap.cost.index] == "activation_bytes":
                allowed &= (table <= cap.limit) & (fixed <= cap.limit)
            else:
                rows.append(table)
                capacity.append(cap.limit - fixed)
        else:
            raise FoxnasError(f"exact search cannot tell what cap {cap.name} adds up to; take another strategy")
    if not allowed.any(axis=1).all():
        return None
    kept = [
        np.flatnonzero(can)[_distinct([v[can], *(row[unit][can] for row in rows)])]
        for unit, (v, can) in enumerate(zip(value, allowed, strict=True))
    ]
    knapsack = Knapsack(
        [value[unit, k] for unit, k in enumerate(kept)],
        [
            np.stack([row[unit, k] for row in rows], axis=1) if rows else np.empty((len(k), 0))
            for unit, k in enumerate(kept)
        ],
        np.array(capacity, dtype=float),
    )
    return Part(size, knapsack, tuple(kept), float(offset), link)


def _distinct(columns: list[FloatArray]) -> IndexArray:
    """Return the first index of every combination of values, up to rounding."""
    table = np.stack(columns, axis=1).round(9)
    order = np.lexsort(table.T[::-1])
    new = np.r_[True, (np.diff(table[order], axis=0) != 0).any(axis=1)]
    first: IndexArray = np.sort(order[new])
    return first
