"""Run every strategy over several seeds under one latency budget."""

from pathlib import Path

import numpy as np
import pandas as pd

from comparisons.strategies.against_random import FOUND_COLUMNS
from comparisons.strategies.side_by_side import side_by_side
from foxnas import cli
from foxnas.files.progress import Progress
from foxnas.files.tables import read_json, read_table, write_table
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem, TracePoint
from foxnas.search.selection import Selection
from foxnas.search.strategies import registry
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    reserve_percent: float,
    alike_layers: bool,
    seeds: int,
    calls: int,
    budget: Path,
    accuracy: list[Path],
    latency: list[Path],
    single_path: Path | None = None,
    trace: Path,
    found: Path,
    subnets: Path,
) -> None:
    """Write the best predicted accuracy of every strategy and seed after each number of calls that improved it.

    `found` is what each ended with, and Single-Path's training, if there was one; `subnets` the distinct architectures
    among those, to be measured.

    The problem is the paper's, predicted accuracy under the latency budget, whatever `search.objective` is; the
    proven optimum is the row of strategy "exact".
    """
    cap_ms = read_json(budget)["budget_ms"] * (1 - reserve_percent / 100)
    problem = SearchProblem(Landscape.load(space, accuracy, latency, alike_layers), cap_ms)
    optimum = registry.run("exact", problem, Selection(count=1), np.random.default_rng())
    ends = [("exact", 0, optimum)]
    rows = [pd.DataFrame({"strategy": ["exact"], "seed": 0, "calls": optimum.calls, "best": optimum.best.accuracy})]
    # One of the strategies has no seeds, exact search; and one takes part twice, annealing without guidance.
    progress = Progress(seeds * len(registry.STRATEGIES), "searches")
    for seed in range(seeds):
        for strategy, result in side_by_side(problem, Selection(count=1), calls, seed):
            steps = pd.DataFrame(result.trace, columns=list(TracePoint._fields))
            rises = steps.loc[steps["best"].diff() != 0, ["calls", "best"]]
            ended = pd.DataFrame({"calls": [result.calls], "best": [result.values[0]]})
            rows.append(pd.concat([rises, ended]).assign(strategy=strategy, seed=seed))
            ends.append((strategy, seed, result))
            progress.reached(len(ends) - 1, f"{strategy}, seed {seed}: {result.best.accuracy:.3f}")
    made_by |= {"cap_ms": cap_ms}
    compared = pd.concat(rows, ignore_index=True)
    write_table(trace, compared[["strategy", "seed", "calls", "best"]], made_by)
    best = pd.DataFrame(
        [
            (name, seed, end.best.arch.id, end.best.arch.text, end.best.accuracy, end.best.latency_ms, end.calls, 0.0)
            for name, seed, end in ends
        ],
        columns=FOUND_COLUMNS,
    )
    if single_path is not None:
        best = pd.concat([best, read_table(single_path, FOUND_COLUMNS)], ignore_index=True)
    write_table(found, best, made_by)
    write_table(subnets, best[["id", "arch"]].drop_duplicates("id", ignore_index=True), made_by)


if __name__ == "__main__":
    cli.run(main)
