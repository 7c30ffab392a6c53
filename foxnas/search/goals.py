"""Turns a config's objective into a goal, with what only the predictors can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foxnas.search.capped import solver
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import Caps, Goal, Linear, load_goal
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of
from foxnas.search.selection import Selection


def goal_of(
    objective: ObjectiveConfig, landscape: Landscape, budget_ms: float, caps: Caps, function: Path | None
) -> Goal:
    """Return the goal that a config asks for, under a budget and caps.

    `function` is the file of the user's own function, for that kind. Raises FoxnasError when it cannot be loaded, and
    Infeasible when a knee is wanted where there is no architecture.
    """
    match objective.kind:
        case "latency-under-accuracy":
            assert objective.accuracy_floor is not None
            return Goal.fastest(objective.accuracy_floor)
        case "weighted":
            assert objective.points_per_budget is not None
            return Goal.weighted(objective.points_per_budget, budget_ms)
        case "knee":
            return knee_of(landscape, budget_ms, caps)
        case "python":
            assert objective.function is not None
            assert function is not None
            return load_goal(function, objective.function.partition(":")[2])
        case _:
            return Goal.most_accurate()


def knee_of(landscape: Landscape, budget_ms: float, caps: Caps) -> Goal:
    """Return the goal of finding the frontier's knee within budget and caps. Raises Infeasible."""
    ends = []
    for goal in (Goal("fastest", Linear(0.0, -1.0)), Goal.most_accurate()):
        problem = problem_of(landscape, budget_ms, goal, caps)
        found = solver.search(problem, Selection(1, pool=1), np.random.default_rng(0))
        ends.append(found.best)
    return Goal.knee((ends[0].accuracy, ends[1].accuracy), (ends[0].latency_ms, ends[1].latency_ms))
