"""Exact search under caps that the latency-accuracy frontier knows nothing of.

With caps on parameters, multiply-accumulates or file size, the best subnet need not lie on the latency-accuracy
frontier, but the problem is still a choice of one option per unit whose values and costs add up: a knapsack with
several capacities for each image size (`foxnas.search.capped.parts`), whose best solutions are listed with a proof
(`foxnas.search.capped.knapsack`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.capped.knapsack import TooManySolutions
from foxnas.search.capped.parts import Part, part_of
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

#: The objective of the fastest subnet.
FASTEST = Objective("latency", lambda batch: -batch.latency_ms, monotone=True)

#: Combinations that a listing may look at before it gives up: some hundred MB.
_LIMIT = 4_000_000

#: Parts into which problems are split that would otherwise list more, before the search gives up: some ten seconds.
_NODES = 1000

#: The first guess of how far below its bound a problem's optimum is, as a share of the range of values.
_FIRST_ROOM = 1e-4

#: What rounding may do to a value, relative to its size.
_ROUNDING = 1e-9


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
    calls = problem.landscape.lookups
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


@dataclass(frozen=True, eq=False)
class Options:
    """A problem as one knapsack for each image size."""

    problem: SearchProblem
    given: tuple[Part, ...] | None = None

    @cached_property
    def weights(self) -> Linear:
        """The objective as a weighted sum."""
        objective = self.problem.objective
        if objective is ACCURACY:
            return Linear(1.0, 0.0)
        if objective is FASTEST:
            return Linear(0.0, -1.0)
        if isinstance(objective.value, Score) and isinstance(objective.value.goal.score, Linear):
            weights = objective.value.goal.score
            if weights.accuracy < 0 and self.problem.landscape.links.bent:
                raise FoxnasError("exact search under a link that bends needs an objective that rises with accuracy")
            return weights
        raise FoxnasError(
            f"exact search needs a weighted sum of accuracy and latency, got objective {objective.name}; "
            "take annealing, evolution, regularised, autoshrink or random"
        )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The problem at each image size that has a subnet to be had."""
        if self.given is not None:
            return self.given
        sizes = range(len(self.problem.landscape.image_sizes))
        found = [part_of(self.problem, self.weights, size) for size in sizes]
        return tuple(part for part in found if part is not None)

    def within(self, budget_ms: float, least: float) -> Options:
        """Return the problem under another budget, without the image sizes that cannot reach the value `least`."""
        kept = []
        for part in self.parts:
            capacity = part.knapsack.capacity.copy()
            capacity[0] = budget_ms - self.problem.landscape.latency_intercepts_ms[part.size]
            limited = part.knapsack.with_capacity(capacity)
            if part.value(limited.bound_at(part.knapsack.prices)) >= least - _ROUNDING * (1 + abs(least)):
                kept.append(part._replace(knapsack=limited))
        return Options(dataclasses.replace(self.problem, budget_ms=budget_ms), tuple(kept))

    def best(self, count: int) -> Proof:
        """Return the `count` best, as `best` does."""
        nodes = list(self.parts)
        if not nodes:
            return Proof((), (), -np.inf)
        bottom = min(part.value(sum(float(v.min()) for v in part.knapsack.values)) for part in nodes)
        first = room = _FIRST_ROOM * max(max(part.bound for part in nodes) - bottom, 1e-12)
        found = None
        while True:
            bounds = [part.bound for part in nodes]
            top = max(bounds)
            if top < bottom:
                return Proof((), (), -np.inf)
            least = max(top - room, bottom)
            listed = []
            for index, (part, bound) in enumerate(zip(nodes, bounds, strict=True)):
                if bound < least:
                    continue
                try:
                    rows = part.knapsack.solutions(part.total(least), _LIMIT)
                except TooManySolutions:
                    crowded = index
                    break
                listed.append((part.size, np.column_stack([c[o] for c, o in zip(part.classes, rows.T, strict=True)])))
            else:
                found = self._ranked(listed, count, -np.inf if least == bottom else least)
                if least == bottom or (found and len(found.points) >= count):
                    return found or Proof((), (), -np.inf)
                room *= 2
                continue
            if found or len(nodes) > _NODES:
                return found or Proof((), (), top)
            # Each part has a bound of its own, closer to its solutions.
            part = nodes[crowded]
            group, split = part.knapsack.split(part.total(least))
            nodes[crowded : crowded + 1] = [
                part._replace(
                    knapsack=part.knapsack.restricted(group, some),
                    classes=(*part.classes[:group], part.classes[group][some], *part.classes[group + 1 :]),
                )
                for some in split
            ]
            room = first

    def _ranked(self, listed: list[tuple[int, IndexArray]], count: int, least: float) -> Proof | None:
        """Check listed architectures to the last bit, and rank those of value >= `least`; ties by size and classes."""
        if not sum(len(rows) for _, rows in listed):
            return None
        sizes = np.repeat([size for size, _ in listed], [len(rows) for _, rows in listed])
        batch = self.problem.landscape.batch(sizes, np.concatenate([rows for _, rows in listed]))
        values = self.problem.values(batch)
        order = np.lexsort((*batch.classes.T[::-1], batch.sizes, -values))[:count]
        order = order[(values[order] > -np.inf) & (values[order] >= least - _ROUNDING * (1 + abs(least)))]
        if not len(order):
            return None
        return Proof(tuple(batch[order].points), tuple(values[order].tolist()), float(values[order[0]]))
