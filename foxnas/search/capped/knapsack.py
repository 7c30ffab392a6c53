"""Multiple-choice knapsacks with several capacities, solved exactly by a Lagrangian bound.

Choose one option of every group so that the sum of values is largest and no capacity is exceeded. Prices on the
capacities (the duals of the linear relaxation) bound every solution from above, and say how much of that bound each
option gives away. A solution of at least a given value can give away no more than the bound's distance to it, in all
groups together, which leaves few options of each and few combinations. So the solutions above a value are *listed*,
and the best of a list that is not empty is optimal. Textbook: Kellerer, Pferschy and Pisinger, *Knapsack Problems*
(2004), chapters 9 and 11: Lagrangian bounds of multidimensional, and reduction of multiple-choice knapsacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog

from foxnas.search.landscape import IndexArray
from foxnas.space.terms import FloatArray

#: What rounding may add to a sum of a few terms, relative to their size.
_ROUNDING = 1e-9

#: Highest price considered, in ranges of the values for a range of a weight.
_DEAREST = 1e6


class TooManySolutions(Exception):
    """A listing would hold more than the limit; nothing was decided."""


@dataclass(frozen=True, eq=False)
class Knapsack:
    """One choice per group under capacities.

    Attributes
    ----------
    values
        Of each group's options: (options,).
    weights
        Of each group's options: (options, capacities); may be negative.
    capacity
        (capacities,).
    """

    values: Sequence[FloatArray]
    weights: Sequence[FloatArray]
    capacity: FloatArray

    @cached_property
    def prices(self) -> FloatArray:
        """What a unit of each capacity is worth at the relaxation's optimum.

        Found by column generation: a linear program over a few options of each group gives prices, at which every
        group offers its best option, until no offer is new. Any prices give a valid bound, so none of its tolerances
        matter.
        """
        if not len(self.capacity):
            return np.zeros(0)
        # In units of the options' own ranges, relative to each group's first option.
        scale = np.array([np.ptp(w, axis=0) for w in self.weights]).max(axis=0)
        scale[scale == 0] = 1.0
        value_scale = max(float(np.ptp(v)) for v in self.values) or 1.0
        values = [v / value_scale for v in self.values]
        weights = [(w - w[0]) / scale for w in self.weights]
        capacity = (self.capacity - np.sum([w[0] for w in self.weights], axis=0)) / scale
        offers = [{int(v.argmax()), *w.argmin(axis=0).tolist()} for v, w in zip(values, weights, strict=True)]
        while True:
            chosen = [sorted(offer) for offer in offers]
            prices = _relax(
                [v[c] for v, c in zip(values, chosen, strict=True)],
                [w[c] for w, c in zip(weights, chosen, strict=True)],
                capacity,
            )
            nets = [v - w @ prices for v, w in zip(values, weights, strict=True)]
            new = 0
            for net, offer, known in zip(nets, offers, chosen, strict=True):
                best = int(net.argmax())
                if net[best] > net[known].max() + _ROUNDING:
                    offer.add(best)
                    new += 1
            if not new:
                return prices * value_scale / scale

    def with_capacity(self, capacity: FloatArray) -> Knapsack:
        """Return the same choices under other capacities."""
        return Knapsack(self.values, self.weights, capacity)

    def bound_at(self, prices: FloatArray) -> float:
        """Return the upper bound on every solution's value that prices prove; `bound` is the lowest of them."""
        nets = [v - w @ prices for v, w in zip(self.values, self.weights, strict=True)]
        terms = [*(float(net.max()) for net in nets), *(prices * self.capacity).tolist()]
        # Large prices cancel; what they may lose to rounding is given back.
        return sum(terms) + _ROUNDING * (1 + sum(map(abs, terms))) / 100

    @cached_property
    def bound(self) -> float:
        """No solution's value is above it. Below the sum of the smallest values it proves that there is no solution."""
        return self.bound_at(self.prices)

    def solutions(self, least: float, limit: int) -> IndexArray:
        """List every solution of value >= `least`: (solutions, groups).

        Up to rounding, at which it errs on the side of listing more: check what matters to the last bit again.
        Raises TooManySolutions when more than `limit` combinations would have to be looked at.
        """
        room = self.bound - least + _ROUNDING * (1 + abs(least))
        if room < 0:
            return np.empty((0, len(self.values)), dtype=np.intp)
        tolerance = _ROUNDING * (1 + np.abs(self.capacity))
        chosen, lost = np.empty((1, 0), dtype=np.intp), np.zeros(1)
        used = np.zeros((1, len(self.capacity)))
        kept = [np.flatnonzero(net.max() - net <= room) for net in self._net]
        # Small groups first: what is given away early prunes what is combined later.
        order = sorted(range(len(kept)), key=lambda g: len(kept[g]))
        least_use = np.array([self.weights[g][kept[g]].min(axis=0) for g in order])
        still_needed = np.vstack([np.cumsum(least_use[::-1], axis=0)[::-1][1:], np.zeros_like(self.capacity)])
        for g, needed in zip(order, still_needed, strict=True):
            loss = self._net[g].max() - self._net[g][kept[g]]
            ranked = np.argsort(loss, kind="stable")
            options, loss = kept[g][ranked], loss[ranked]
            counts = np.searchsorted(loss, room - lost, side="right")
            if counts.sum() > limit:
                raise TooManySolutions
            before = np.repeat(np.arange(len(lost)), counts)
            option = np.arange(len(before)) - np.repeat(np.cumsum(counts) - counts, counts)
            use = used[before] + self.weights[g][options[option]]
            fits = (use + needed <= self.capacity + tolerance).all(axis=1)
            before, option, used = before[fits], option[fits], use[fits]
            lost = lost[before] + loss[option]
            chosen = np.column_stack([chosen[before], options[option]])
        value = sum(self.values[g][chosen[:, i]] for i, g in enumerate(order))
        above = value >= least - _ROUNDING * (1 + abs(least))
        found = np.empty_like(chosen[above])
        found[:, order] = chosen[above]
        return found

    def split(self, least: float) -> tuple[int, list[IndexArray]]:
        """Return a group, and a partition of its options under which bounds become closer.

        Those that a solution of value >= `least` may have stand alone, the others together.
        """
        room = self.bound - least
        kept = [np.flatnonzero(net.max() - net <= room) for net in self._net]
        group = min((g for g in range(len(kept)) if len(kept[g]) > 1), key=lambda g: len(kept[g]))
        others = np.setdiff1d(np.arange(len(self.values[group])), kept[group])
        return group, [*kept[group][:, None], *([others] if len(others) else [])]

    def restricted(self, group: int, options: IndexArray) -> Knapsack:
        """Return the same choices with only some options of one group."""
        values, weights = list(self.values), list(self.weights)
        values[group], weights[group] = values[group][options], weights[group][options]
        return Knapsack(values, weights, self.capacity)

    @property
    def best_nets(self) -> list[int]:
        """The option of each group that is worth most at the prices; together they may exceed a capacity."""
        return [int(net.argmax()) for net in self._net]

    @cached_property
    def _net(self) -> list[FloatArray]:
        """Value of each option less the price of what it uses."""
        return [v - w @ self.prices for v, w in zip(self.values, self.weights, strict=True)]


def _relax(values: Sequence[FloatArray], weights: Sequence[FloatArray], capacity: FloatArray) -> FloatArray:
    """Return the capacities' prices in the linear relaxation; what exceeds a capacity may be bought at `_DEAREST`."""
    counts = [len(v) for v in values]
    one_each = np.repeat(np.eye(len(counts)), counts, axis=1)
    bought = len(capacity)
    solution = linprog(
        np.concatenate([-np.concatenate(values), np.full(bought, _DEAREST)]),
        A_ub=np.column_stack([np.concatenate(weights).T, -np.eye(bought)]),
        b_ub=capacity,
        A_eq=np.column_stack([one_each, np.zeros((len(counts), bought))]),
        b_eq=np.ones(len(counts)),
        method="highs",
    )
    prices: FloatArray = np.maximum(0.0, -solution.ineqlin.marginals)
    return prices
