"""Exact search under caps that the latency-accuracy frontier knows nothing of.

With caps on parameters, multiply-accumulates or file size, the best subnet need not lie on the latency-accuracy
frontier, but the problem is still a choice of one option per unit whose values and costs add up: a knapsack with
several capacities (`foxnas.search.capped.knapsack`), whose best solutions are listed with a proof. Activation memory
is a maximum, so its cap only takes options away. Options are unit classes that tell multisets of (K, E) apart; of those
that agree in everything that is asked for, one is kept.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.capped.knapsack import Knapsack, TooManySolutions
from foxnas.search.goal import Linear
from foxnas.search.landscape import IndexArray, Point
from foxnas.search.objectives import CostCap, Lack, PredictedCost, Score
from foxnas.search.problem import (
    ACCURACY,
    Infeasible,
    InfeasibleBudget,
    Objective,
    SearchProblem,
    SearchResult,
    TracePoint,
)
from foxnas.search.selection import Selection, conclude
from foxnas.space.costs import COSTS
from foxnas.space.terms import FloatArray

#: The objective of the fastest subnet.
FASTEST = Objective("latency", lambda batch: -batch.latency_ms, monotone=True)

#: Combinations that a listing may look at before it gives up: some hundred MB.
_LIMIT = 4_000_000

#: Parts into which problems are split that would otherwise list more, before the search gives up: some ten seconds.
_NODES = 1000

#: The first guess of how far below its bound a problem's optimum is, as a share of the range of values.
_FIRST_ROOM = 1e-4


@dataclass(frozen=True)
class Proof:
    """What is known of a problem's optimum.

    Attributes
    ----------
    points
        The best architectures, best first; empty when there is none, or none was found within the limit of work.
    values
        Their values of the objective.
    bound
        Nothing is better: the first value when there is one, minus infinity when nothing is feasible.
    """

    points: tuple[Point, ...]
    values: tuple[float, ...]
    bound: float


def best(problem: SearchProblem, count: int = 1) -> Proof:
    """Return the `count` best architectures of a problem, with the proof that they are.

    Raises FoxnasError when the objective is not a weighted sum of accuracy and latency, or a cap is not one of ours.
    """
    return Options(problem).best(count)


def search(problem: SearchProblem, settings: Selection, rng: np.random.Generator) -> SearchResult:
    """Return the best architectures under every cap, through the interface of all strategies.

    The first candidate is the proven optimum. `rng` is not used. `calls` counts unit classes looked up. Raises
    Infeasible when no architecture keeps every cap, which is proven, and FoxnasError as `best` does.
    """
    options = Options(problem)
    proof = options.best(settings.pool)
    if not proof.points:
        # More work for fewer: what is listed for one is less than for a whole pool.
        proof = options.best(1)
    if not proof.points:
        if proof.bound == -np.inf:
            raise infeasible(problem)
        raise FoxnasError(f"exact search listed over {_LIMIT} combinations without an end; the bound is {proof.bound}")
    calls = problem.landscape.accuracy_tables.size
    latency_ms = problem.landscape.predict(proof.points[0])[1]
    trace = TracePoint(0, calls, proof.values[0], proof.values[0], latency_ms, 0.0, 0)
    return conclude("exact", problem, list(proof.points), settings, calls, [trace])


def infeasible(problem: SearchProblem) -> Infeasible:
    """Return the error for a problem without a solution, with what could be reached at best for every cap."""
    landscape = problem.landscape
    fastest = best(dataclasses.replace(problem, budget_ms=np.inf, objective=FASTEST))
    if fastest.points:
        arch = landscape.arch(fastest.points[0])
        if not problem.caps:
            return InfeasibleBudget(problem.budget_ms, arch, -fastest.values[0])
        return Infeasible(
            f"no architecture keeps the caps ({_limits(problem)}) within {problem.budget_ms:.4g} ms: the fastest that "
            f"keeps them, {arch.text}, is predicted at {-fastest.values[0]:.4g} ms; raise the budget to at least that, "
            "or a cap",
            arch,
        )
    smallest = [landscape.space.smallest(size) for size in landscape.image_sizes]
    batch = landscape.batch_of([landscape.point_of(arch) for arch in smallest])
    least = ", ".join(
        f"{cap.name} {cap.cost(batch).min():.6g}"
        for cap in problem.caps
        if isinstance(cap.cost, CostCap | PredictedCost)
    )
    closest = smallest[int(problem.excess(batch).argmin())]
    return Infeasible(
        f"no architecture keeps the caps together: {_limits(problem)}. The smallest subnets of the space have {least}; "
        "raise what is below that, or the caps that exclude each other",
        closest,
    )


def _limits(problem: SearchProblem) -> str:
    return ", ".join(
        f"accuracy >= {-cap.limit:.6g}" if isinstance(cap.cost, Lack) else f"{cap.name} <= {cap.limit:.6g}"
        for cap in problem.caps
    )


Pair = tuple[Knapsack, tuple[IndexArray, ...]]
"""The knapsack of one image size, and the unit class of each of its groups' options."""


@dataclass(frozen=True, eq=False)
class Options:
    """A problem as one knapsack for each image size."""

    problem: SearchProblem
    given: tuple[Pair | None, ...] | None = None

    @cached_property
    def weights(self) -> Linear:
        """The objective as a weighted sum."""
        objective = self.problem.objective
        if objective is ACCURACY:
            return Linear(1.0, 0.0)
        if objective is FASTEST:
            return Linear(0.0, -1.0)
        if isinstance(objective.value, Score) and isinstance(objective.value.goal.score, Linear):
            return objective.value.goal.score
        raise FoxnasError(
            f"exact search needs a weighted sum of accuracy and latency, got objective {objective.name}; "
            "take annealing, evolution, regularised or random"
        )

    @cached_property
    def knapsacks(self) -> tuple[Pair | None, ...]:
        """For each image size the knapsack and the class of each option; None where there is no subnet to be had."""
        return self.given or tuple(self._knapsack(size) for size in range(len(self.problem.landscape.image_sizes)))

    def within(self, budget_ms: float, least: float) -> Options:
        """Return the problem under another budget, without the image sizes that cannot reach the value `least`."""
        landscape, pairs = self.problem.landscape, []
        for size, pair in enumerate(self.knapsacks):
            if pair is not None:
                knapsack, classes = pair
                capacity = knapsack.capacity.copy()
                capacity[0] = budget_ms - landscape.latency_intercepts_ms[size]
                limited = knapsack.with_capacity(capacity)
                bound = limited.bound_at(knapsack.prices) + self._intercepts[size]
                pair = (limited, classes) if bound >= least - 1e-9 * (1 + abs(least)) else None
            pairs.append(pair)
        return Options(dataclasses.replace(self.problem, budget_ms=budget_ms), tuple(pairs))

    def best(self, count: int) -> Proof:
        """Return the `count` best, as `best` does."""
        nodes = [(size, *pair) for size, pair in enumerate(self.knapsacks) if pair is not None]
        if not nodes:
            return Proof((), (), -np.inf)
        intercepts = self._intercepts
        bottom = min(sum(float(v.min()) for v in knapsack.values) + intercepts[size] for size, knapsack, _ in nodes)
        first = room = _FIRST_ROOM * max(max(k.bound + intercepts[size] for size, k, _ in nodes) - bottom, 1e-12)
        found = None
        while True:
            bounds = [knapsack.bound + intercepts[size] for size, knapsack, _ in nodes]
            top = max(bounds)
            if top < bottom:
                return Proof((), (), -np.inf)
            least = max(top - room, bottom)
            listed = []
            for index, ((size, knapsack, classes), bound) in enumerate(zip(nodes, bounds, strict=True)):
                if bound < least:
                    continue
                try:
                    rows = knapsack.solutions(least - intercepts[size], _LIMIT)
                except TooManySolutions:
                    crowded = index
                    break
                listed.append((size, np.column_stack([c[o] for c, o in zip(classes, rows.T, strict=True)])))
            else:
                found = self._ranked(listed, count)
                if least == bottom or (found and len(found.points) >= count):
                    return found or Proof((), (), -np.inf)
                room *= 2
                continue
            if found or len(nodes) > _NODES:
                return found or Proof((), (), top)
            # Each part has a bound of its own, closer to its solutions.
            size, knapsack, classes = nodes[crowded]
            group, parts = knapsack.split(least - intercepts[size])
            nodes[crowded : crowded + 1] = [
                (
                    size,
                    knapsack.restricted(group, part),
                    (*classes[:group], classes[group][part], *classes[group + 1 :]),
                )
                for part in parts
            ]
            room = first

    def _ranked(self, listed: list[tuple[int, IndexArray]], count: int) -> Proof | None:
        """Check listed architectures to the last bit, and rank them; ties by image size and classes."""
        if not sum(len(rows) for _, rows in listed):
            return None
        sizes = np.repeat([size for size, _ in listed], [len(rows) for _, rows in listed])
        batch = self.problem.landscape.batch(sizes, np.concatenate([rows for _, rows in listed]))
        values = self.problem.values(batch)
        order = np.lexsort((*batch.classes.T[::-1], batch.sizes, -values))[:count]
        order = order[values[order] > -np.inf]
        if not len(order):
            return None
        return Proof(tuple(batch[order].points), tuple(values[order].tolist()), float(values[order[0]]))

    @property
    def _intercepts(self) -> FloatArray:
        landscape, weights = self.problem.landscape, self.weights
        value: FloatArray = (
            weights.accuracy * landscape.accuracy_intercepts + weights.latency_ms * landscape.latency_intercepts_ms
        )
        return value

    def _knapsack(self, size: int) -> Pair | None:
        landscape, weights = self.problem.landscape, self.weights
        accuracy, latency_ms = landscape.accuracy_tables[size], landscape.latency_tables_ms[size]
        rows, capacity = [], []
        allowed = np.ones(accuracy.shape, dtype=bool)
        if self.problem.budget_ms < np.inf:
            rows.append(latency_ms)
            capacity.append(self.problem.budget_ms - landscape.latency_intercepts_ms[size])
        for cap in self.problem.caps:
            if isinstance(cap.cost, Lack):
                rows.append(-accuracy)
                capacity.append(cap.limit + landscape.accuracy_intercepts[size])
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
        value = weights.accuracy * accuracy + weights.latency_ms * latency_ms
        kept = [
            np.flatnonzero(can)[_distinct([v[can], *(row[unit][can] for row in rows)])]
            for unit, (v, can) in enumerate(zip(value, allowed, strict=True))
        ]
        return (
            Knapsack(
                [value[unit, k] for unit, k in enumerate(kept)],
                [
                    np.stack([row[unit, k] for row in rows], axis=1) if rows else np.empty((len(k), 0))
                    for unit, k in enumerate(kept)
                ],
                np.array(capacity, dtype=float),
            ),
            tuple(kept),
        )


def _distinct(columns: list[FloatArray]) -> IndexArray:
    """Return the first index of every combination of values, up to rounding."""
    table = np.stack(columns, axis=1).round(9)
    order = np.lexsort(table.T[::-1])
    new = np.r_[True, (np.diff(table[order], axis=0) != 0).any(axis=1)]
    first: IndexArray = np.sort(order[new])
    return first
