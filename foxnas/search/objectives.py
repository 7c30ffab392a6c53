"""A goal and caps as a search problem: predictions and costs of whole batches, for every strategy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foxnas.search.goal import Caps, Figures, Goal, Linear
from foxnas.search.landscape import Batch, Landscape
from foxnas.search.problem import Cap, Objective, SearchProblem
from foxnas.search.strategies.genome import Genome
from foxnas.space.costs import COSTS, CostTables, IntArray
from foxnas.space.terms import FloatArray


@dataclass(frozen=True, eq=False)
class ClassCosts:
    """The costs of every unit class of a landscape, that of its representative: sound when it is not `merged`."""

    landscape: Landscape

    @cached_property
    def layers(self) -> CostTables:
        """The costs by layer."""
        return CostTables(self.landscape.space, self.landscape.image_sizes)

    @cached_property
    def by_class(self) -> IntArray:
        """What each class costs: (image size, unit, unit class, cost)."""
        return self.layers.of_units(self.landscape.unit_classes)

    def of(self, batch: Batch) -> IntArray:
        """Return the costs of a batch: (n, cost)."""
        units = self.by_class.shape[1]
        parts = self.by_class[batch.sizes[:, None], np.arange(units), batch.classes]
        return self.layers.combine(batch.sizes, parts)


@dataclass(frozen=True, eq=False)
class CostCap:
    """The cost at an index of `COSTS`, as a cap's `cost`."""

    costs: ClassCosts
    index: int

    def __call__(self, batch: Batch) -> FloatArray:
        fixed, table = self.costs.layers.fixed[:, self.index], self.costs.by_class[..., self.index]
        parts = table[batch.sizes[:, None], np.arange(table.shape[1]), batch.classes]
        whole = np.column_stack([fixed[batch.sizes], parts])
        found = whole.max(axis=1) if COSTS[self.index] == "activation_bytes" else whole.sum(axis=1)
        return found.astype(float)


@dataclass(frozen=True, eq=False)
class PredictedCost:
    """What further regressions predict, as a cap's `cost`: a landscape over the same classes has it for a latency."""

    landscape: Landscape

    def __call__(self, batch: Batch) -> FloatArray:
        return self.landscape.batch(batch.sizes, batch.classes).latency_ms


@dataclass(frozen=True)
class Lack:
    """Accuracy with its sign turned, as a cap's `cost`: at most -floor is at least the floor."""

    def __call__(self, batch: Batch) -> FloatArray:
        return -batch.accuracy


@dataclass(frozen=True, eq=False)
class Score:
    """A goal's score of a batch, as an objective's `value`."""

    goal: Goal
    costs: ClassCosts

    def __call__(self, batch: Batch) -> FloatArray:
        if isinstance(self.goal.score, Linear):
            return self.goal.score({"accuracy": batch.accuracy, "latency_ms": batch.latency_ms})
        return self.goal.scores(figures(batch, self.costs))


def problem_of(
    landscape: Landscape, budget_ms: float, goal: Goal, caps: Caps, predicted: Sequence[Cap] = ()
) -> SearchProblem:
    """Return the search problem of a goal under a latency budget and caps, those on `PredictedCost` among them.

    Where costs matter, the landscape tells classes apart that the predictors do not (`Landscape.merged`).
    """
    linear = isinstance(goal.score, Linear)
    if landscape.merged and (caps.limits or predicted or not linear):
        landscape = dataclasses.replace(landscape, merged=False)
    costs = ClassCosts(landscape)
    monotone = isinstance(goal.score, Linear) and goal.score.accuracy >= 0 >= goal.score.latency_ms
    objective = Objective(goal.kind, Score(goal, costs), monotone)
    further = [Cap(name, "", limit, CostCap(costs, COSTS.index(name))) for name, limit in caps.limits.items()]
    if goal.accuracy_floor is not None:
        further.insert(0, Cap("accuracy floor", "", -goal.accuracy_floor, Lack(), monotone=True))
    return SearchProblem(landscape, budget_ms, objective, (*further, *predicted))


def figures(batch: Batch, costs: ClassCosts) -> Figures:
    """Return the columns that a goal may look at."""
    columns = dict(zip(COSTS, costs.of(batch).T.astype(float), strict=True))
    return {"accuracy": batch.accuracy, "latency_ms": batch.latency_ms, **columns}


def unit_of(problem: SearchProblem, rng: np.random.Generator, draws: int = 2000) -> float:
    """Return how much of the objective is worth a point of accuracy: the ratio of their spreads over random subnets.

    What is set in points of accuracy (annealing's k) means the same under another objective once multiplied by it.
    """
    genome = Genome(problem.landscape)
    batch = problem.landscape.batch(*genome.decode(genome.draw(draws, rng)))
    spread, points = np.std(problem.objective.value(batch)), np.std(batch.accuracy)
    return float(spread / points) if min(spread, points) > 0 else 1.0
