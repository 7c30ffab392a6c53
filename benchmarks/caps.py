"""Exact search under caps: seconds to the proven optimum, against a general solver on the same problem.

The problem is the published one, 192 px in the paper's CPU space. The rival is HiGHS's branch and bound
(`scipy.optimize.milp`) on the same options; both prove their optimum, which must be the same.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from foxnas.search.capped import solver
from foxnas.search.capped.frontier import frontier
from foxnas.search.goal import MOST_ACCURATE, Caps
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import ClassCosts, CostCap, problem_of
from foxnas.search.problem import SearchProblem
from foxnas.search.strategies import annealing
from foxnas.search.strategies.genome import Genome
from foxnas.space.costs import COSTS
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

#: Budgets in ms, and caps that bind at them.
CASES = [
    (65.0, Caps()),
    (65.0, Caps(max_parameters=2_500_000)),
    (65.0, Caps(max_macs=120_000_000)),
    (65.0, Caps(max_int8_bytes=3_000_000)),
    (65.0, Caps(max_activation_bytes=600_000)),
    (45.0, Caps(2_500_000, 120_000_000, 3_000_000, 800_000)),
    (65.0, Caps(2_500_000, 120_000_000, 3_000_000, 800_000)),
]


def main(repeats: int = 5) -> None:
    """Print one row for each case: medians of `repeats` runs, and the ratio of the pairs."""
    landscape = Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY})
    print(
        "| budget, ms | caps | optimum, % | ours, ms | HiGHS, ms | HiGHS / ours | annealing's gap, points (5 seeds) |"
    )
    print("|---|---|---|---|---|---|---|")
    for budget_ms, caps in CASES:
        problem = problem_of(landscape, budget_ms, MOST_ACCURATE, caps)
        for cap in problem.caps:
            if isinstance(cap.cost, CostCap):
                _ = cap.cost.costs.by_class
        _ = problem.landscape.accuracy_tables, problem.landscape.latency_tables_ms
        ours, theirs = [], []
        for _ in range(repeats):
            seconds, proof = _timed(lambda problem=problem: solver.best(problem))
            rival_seconds, rival = _timed(lambda problem=problem: _general(problem))
            assert abs(rival - proof.values[0]) < 1e-4, (rival, proof.values[0])
            ours.append(seconds)
            theirs.append(rival_seconds)
        gaps = [
            proof.bound - annealing.search(problem, annealing.AnnealingSettings(), np.random.default_rng(s)).values[0]
            for s in range(5)
        ]
        named = ", ".join(f"{name} {limit:,}" for name, limit in caps.limits.items()) or "none"
        print(
            f"| {budget_ms:g} | {named} | {proof.values[0]:.4f} | {1000 * np.median(ours):.0f} "
            f"| {1000 * np.median(theirs):.0f} | {np.median(np.divide(theirs, ours)):.0f} "
            f"| {min(gaps):.4f} to {max(gaps):.4f} |"
        )
    for caps in (Caps(max_parameters=2_500_000), CASES[-1][1]):
        problem = problem_of(landscape, 65.0, MOST_ACCURATE, caps)
        seconds, (front, above) = _timed(lambda problem=problem: frontier(problem))
        print(f"frontier under {caps.limits}: {len(front)} points in {seconds:.2f} s, between them {above:.3f} points")
    took = random_problems(landscape, 25.0)
    middle, most = np.quantile(took, [0.5, 0.9])
    print(f"{len(took)} random problems: median {middle:.2f} s, 90% {most:.2f} s, longest {max(took):.1f} s")


def random_problems(landscape: Landscape, seconds: float) -> list[float]:
    """Return how long each of as many random problems took as fit into a time, all of them proven or said not to be."""
    rng = np.random.default_rng(0)
    apart = dataclasses.replace(landscape, merged=False)
    genome = Genome(apart)
    batch = apart.batch(*genome.decode(genome.draw(4000, rng)))
    costs = ClassCosts(apart).of(batch)
    took: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        limits = {
            f"max_{name}": int(np.quantile(costs[:, i], rng.uniform(0.02, 0.7)))
            for i, name in enumerate(COSTS)
            if rng.random() < 0.5
        }
        budget_ms = float(np.quantile(batch.latency_ms, rng.uniform(0.05, 0.9)))
        problem = problem_of(landscape, budget_ms, MOST_ACCURATE, Caps(**limits))
        for cap in problem.caps:
            if isinstance(cap.cost, CostCap):
                _ = cap.cost.costs.by_class
        _ = problem.landscape.accuracy_tables, problem.landscape.latency_tables_ms
        spent, proof = _timed(lambda problem=problem: solver.best(problem))
        took.append(spent)
        if not proof.points:
            print(f"nothing found within {budget_ms:.1f} ms and {limits}: bound {proof.bound}")
    return took


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def _general(problem: SearchProblem) -> float:
    """Return the optimum of the same knapsack, built anew, by branch and bound."""
    (pair,) = solver.Options(problem).knapsacks
    assert pair is not None
    knapsack, _ = pair
    counts = [len(v) for v in knapsack.values]
    group_of = np.repeat(np.arange(len(counts)), counts)
    one_each = csr_array((np.ones(len(group_of)), (group_of, np.arange(len(group_of)))))
    weights = np.concatenate(knapsack.weights)
    scale = np.ptp(weights, axis=0)
    solution = milp(
        -np.concatenate(knapsack.values),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint((weights / scale).T, -np.inf, knapsack.capacity / scale),
        ],
        bounds=Bounds(0, 1),
        integrality=np.ones(len(group_of)),
        options={"mip_rel_gap": 0.0},
    )
    return float(-solution.fun) + float(problem.landscape.accuracy_intercepts[0])


if __name__ == "__main__":
    main()
