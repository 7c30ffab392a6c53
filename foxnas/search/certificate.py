"""Certificate of a search: its proven distance to the optimum of the same predictors, under the same caps."""

from __future__ import annotations

from typing import Any

from foxnas.search.capped import solver
from foxnas.search.capped.frontier import frontier
from foxnas.search.goal import MOST_ACCURATE, Caps, Linear
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import Score, problem_of
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.strategies import exact


def front_of(landscape: Landscape, caps: Caps) -> exact.Frontier:
    """Return the latency-accuracy frontier under caps: whole without caps, else to a fiftieth. Raises Infeasible."""
    if not caps.limits:
        return exact.frontier(landscape)
    return frontier(problem_of(landscape, float("inf"), MOST_ACCURATE, caps))[0]


def certify(problem: SearchProblem, result: SearchResult) -> dict[str, Any]:
    """Return what was found, what is optimal, and the gap between them, in the objective's unit.

    For an objective that is no weighted sum nothing is proven, and optimum and gap are None. When a proof would take
    too long, the optimum is None and `gap` is against the best bound.
    """
    best = result.best
    certificate: dict[str, Any] = {
        "objective": problem.objective.name,
        "cap_ms": problem.budget_ms,
        "calls": result.calls,
        "found": best.arch.text,
        "found_accuracy": best.accuracy,
        "found_latency_ms": best.latency_ms,
        "found_value": result.values[0],
        **dict.fromkeys(("optimum", "optimum_accuracy", "optimum_latency_ms", "optimum_value", "gap")),
    }
    value = problem.objective.value
    if not (isinstance(value, Score) and isinstance(value.goal.score, Linear)):
        return certificate
    proof = solver.best(problem)
    if proof.points:
        landscape, point = problem.landscape, proof.points[0]
        accuracy, latency_ms = landscape.predict(point)
        certificate |= {
            "optimum": landscape.arch(point).text,
            "optimum_accuracy": accuracy,
            "optimum_latency_ms": latency_ms,
            "optimum_value": proof.values[0],
        }
    return certificate | {"gap": proof.bound - result.values[0]}
