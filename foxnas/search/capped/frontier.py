"""The latency-accuracy frontier under caps on costs, as densely as is asked for, with a proof of what lies between."""

from __future__ import annotations

import dataclasses

import numpy as np

from foxnas.search.capped.solver import FASTEST, Options, infeasible
from foxnas.search.landscape import Point
from foxnas.search.objectives import CostCap
from foxnas.search.problem import SearchProblem
from foxnas.search.strategies.exact import Frontier, pareto


def frontier(problem: SearchProblem, steps: int = 50) -> tuple[Frontier, float]:
    """Return architectures of the frontier, and by how much accuracy can be above theirs between two of them.

    Objective, budget and accuracy floor play no part, caps on costs do. Every architecture is proven optimal for its
    latency. Between neighbours the true frontier rises somewhere from the one to the other: budgets are halved until
    it rises by no more than a `steps`-th of the whole, or does so within a hundredth of that share of the latencies
    (a step, which more points would not make smaller). Raises Infeasible.
    """
    landscape = problem.landscape
    caps = tuple(cap for cap in problem.caps if isinstance(cap.cost, CostCap))
    slowest_ms = (landscape.latency_intercepts_ms + landscape.latency_tables_ms.max(axis=2).sum(axis=1)).max()
    everything = SearchProblem(landscape, float(slowest_ms) + 1.0, caps=caps)
    fastest = Options(dataclasses.replace(everything, objective=FASTEST)).best(1)
    if not fastest.points:
        raise infeasible(everything)
    known: dict[float, Point] = {}

    def solve(options: Options) -> tuple[float, float, Options]:
        """Return latency and accuracy of the best of some options."""
        point = options.best(1).points[0]
        accuracy, latency_ms = landscape.predict(point)
        known.setdefault(latency_ms, point)
        return latency_ms, accuracy, options

    highest = solve(Options(everything))
    lowest = solve(highest[2].within(-fastest.values[0], -np.inf))
    finest_ms, least_rise = (highest[0] - lowest[0]) / (100 * steps), (highest[1] - lowest[1]) / steps
    # Each interval: a budget, the accuracy there, and what is found at its upper end.
    waiting, above = [(lowest[0], lowest[1], highest)], 0.0
    while waiting:
        from_ms, accuracy, upper = waiting.pop()
        if upper[0] - from_ms <= finest_ms:
            continue
        if upper[1] - accuracy <= least_rise:
            above = max(above, upper[1] - accuracy)
            continue
        middle_ms = (from_ms + upper[0]) / 2
        found = solve(upper[2].within(middle_ms, accuracy))
        if found[0] > from_ms:
            waiting.append((from_ms, accuracy, found))
        waiting.append((middle_ms, found[1], upper))
    batch = landscape.batch_of(list(known.values()))
    batch = batch[pareto(batch.latency_ms, batch.accuracy)]
    return Frontier(landscape, batch.latency_ms, batch.accuracy, batch.sizes, batch.classes), above
