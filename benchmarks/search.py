"""Every search strategy on the published predictors (192 px), against the proven optimum, over many seeds.

Both the full space and units whose layers are all alike; each strategy has its own default settings. "Calls" are
predicted subnets, "calls to 0.1" those until the best was within 0.1 points of the optimum, medians over the seeds;
"inf" when more than half of the seeds never came so near. Gaps are in points: the median, and the largest. Seconds are
CPU seconds, medians, the predictors' tables already made; the frontier's time is given on its own, with the tables and
without, and for seven image sizes made of shifted and scaled copies.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from comparisons.strategies.side_by_side import UNGUIDED
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import exact
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.registry import STRATEGIES
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

BUDGETS_MS = (45.0, 55.0, 65.0, 80.0)
WITHOUT_POLISH = "annealing, no polish"


def seven_sizes() -> tuple[dict[int, Predictor], dict[int, Predictor]]:
    """The published predictors at every size: 2 points and 35% slower from one size to the next."""
    accuracy, latency = {}, {}
    for step, size in enumerate(CPU_SPACE.image_sizes):
        for source, kept, shift, scale in (
            (PUBLISHED_ACCURACY, accuracy, 2.0 * (step - 2), 1.0),
            (PUBLISHED_LATENCY, latency, 0.0, 1.35 ** (step - 2)),
        ):
            kept[size] = Predictor.published(
                source.target, source.unit, size, source.formula,
                scale * source.intercept + shift, [scale * c for c in source.coefficients],
            )  # fmt: skip
    return accuracy, latency


def milliseconds(action: Callable[[], Any], repeats: int = 21) -> str:
    """Median with the range."""
    took = []
    for _ in range(repeats):
        started = time.process_time()
        action()
        took.append(1000 * (time.process_time() - started))
    return f"{np.median(took):.1f} ({min(took):.1f} to {max(took):.1f}) ms"


def time_frontier() -> None:
    """Print how long the frontier takes."""
    one = ({192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY})
    for name, predictors in (("one image size", one), ("seven image sizes", seven_sizes())):
        ready = Landscape(CPU_SPACE, *predictors)
        points = len(exact.frontier(ready))
        whole = milliseconds(lambda given=predictors: exact.frontier(Landscape(CPU_SPACE, *given)))
        merging = milliseconds(lambda given=ready: exact.frontier(given))
        print(f"frontier of {name}: {points} points; tables and merging {whole}, merging alone {merging}", flush=True)


def row(name: str, problem: SearchProblem, optimum: float, seeds: int) -> str:
    """Run a strategy over the seeds."""
    settings: Any = STRATEGIES[name.split(",")[0]].settings(Selection())
    if isinstance(settings, AnnealingSettings):
        settings = dataclasses.replace(settings, guided=name != UNGUIDED, polish=name != WITHOUT_POLISH)
    best, calls, near, seconds = [], [], [], []
    for seed in range(1 if name == "exact" else seeds):
        started = time.process_time()
        result = STRATEGIES[name.split(",")[0]].search(problem, settings, np.random.default_rng(seed))
        seconds.append(time.process_time() - started)
        best.append(result.best.accuracy)
        calls.append(result.calls)
        near.append(next((p.calls for p in result.trace if p.best >= optimum - 0.1), np.inf))
    gaps = optimum - np.array(best)
    return (
        f"| {name} | {np.median(best):.3f} | {np.median(gaps):.3f} | {gaps.max():.3f} | {np.mean(gaps < 0.01):.0%} "
        f"| {np.median(calls):,.0f} | {np.median(near):,.0f} | {np.median(seconds):.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budgets-ms", type=float, nargs="+", default=BUDGETS_MS)
    names = [*STRATEGIES, UNGUIDED, WITHOUT_POLISH]
    parser.add_argument("--strategies", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    time_frontier()
    for alike in (False, True):
        landscape = Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY}, alike=alike)
        front = exact.frontier(landscape)
        for budget_ms in options.budgets_ms:
            optimum = front.best_under(budget_ms).accuracy
            where = "layers of a unit alike" if alike else "full space"
            print(f"\n{where}, {budget_ms:g} ms: optimum {optimum:.3f}%, {options.seeds} seeds\n")
            print("| strategy | best, % | gap | largest | at the optimum | calls | calls to 0.1 | seconds |")
            print("|---|---|---|---|---|---|---|---|")
            for name in options.strategies:
                print(row(name, SearchProblem(landscape, budget_ms), optimum, options.seeds), flush=True)


if __name__ == "__main__":
    main()
