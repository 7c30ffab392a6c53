"""Compare the deployed subnets with the baselines, on the test split."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.outcomes import TARGETS
from foxnas.accuracy.preparation import Preparation
from foxnas.ethosu.memory import keeping
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.identity import identities_of_tables, require_same
from foxnas.files.progress import follow
from foxnas.files.rerun import rerun
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.predictor.mix import NOT_TIMED
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import Caps
from foxnas.search.goals import goal_of
from foxnas.search.landscape import Landscape
from foxnas.space.pooling import both_measured
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from foxnas.verdict.baselines import compare, random_search, with_predicted
from foxnas.verdict.config import BaselinesConfig
from foxnas.verdict.ranking import best_measured, with_costs


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: AccuracyConfig,
    baselines: BaselinesConfig,
    objective: ObjectiveConfig,
    alike_layers: bool,
    caps: Caps,
    subnets: int,
    supernet: Path,
    budgets: list[Path],
    exported: list[Path],
    winners: list[Path],
    acquired: list[Path],
    accuracy_predictors: list[Path],
    latency_predictors: list[Path],
    objective_file: Path | None = None,
    memory: dict[str, int] | None = None,
    accuracy_tables: list[Path],
    latency_tables: list[Path],
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    comparison: Path,
) -> None:
    """Write, per budget, our subnet's lead over each baseline in float top-1, with paired intervals.

    The baselines have the goal and the caps that our winner had. On a device that is likened to others, the latencies
    of subnets that were not timed are predicted ones.
    """
    torch.set_num_threads(threads)
    target = TARGETS["top1"]
    timed = [(path, identity) for path in latency_tables for identity in identities_of_tables([path])]
    for path, identity in timed[1:]:  # further subnets of the baselines may have been timed much later
        way_out = f"Time these subnets again on that one: {rerun(path)}"
        require_same(comparison.stem, [timed[0][1]], identity, f"what measured {path}", way_out)
    every = both_measured(accuracy_tables, latency_tables, [target], ["latency_ms", "usable", "reason"])
    limits = [read_json(path) for path in budgets]
    budgets_ms = [limit["budget_ms"] for limit in limits]
    allowed = caps
    landscape = Landscape.load(space, accuracy_predictors, latency_predictors, alike_layers)
    everything = with_predicted(every, space, landscape.latency)
    if memory:
        everything = everything[everything["id"].isin(keeping(latency_tables, memory))]
    goals = [goal_of(objective, landscape, budget_ms, allowed, objective_file) for budget_ms in budgets_ms]
    if allowed.limits or any(goal.needs_costs for goal in goals):
        everything = with_costs(everything, space)
    measured = everything.groupby("image_size", sort=False).head(subnets)
    ours = [read_json(path)["winner"]["arch"] for path in winners]
    verified = Counter[Path]()
    for path in exported:  # <budget>/<batch>/exported.csv
        verified[path.parent.parent] += len(read_table(path))
    measurements = len(measured) + max(verified.values()) + sum(len(read_table(path)) for path in acquired)
    generator = np.random.default_rng(baselines.seed)
    drawn = [
        random_search(everything, target, budgets_ms, measurements, generator, goals, allowed)
        for _ in range(baselines.random_searches)
    ]
    anyway = [
        best_measured(measured, target, budget_ms, goal, allowed)
        for budget_ms, goal in zip(budgets_ms, goals, strict=True)
    ]

    preparation = Preparation(
        load_supernet(space, supernet), ArraysBySize(calibration), accuracy.recalibration_images, accuracy.batch_size
    )
    testing, truth = ArraysBySize(images), load_array(labels)
    needed = sorted({*ours, *anyway, *(text for searched in drawn for text in searched)})
    measured_again = measure(preparation, [space.parse(text) for text in needed], testing, truth, accuracy.batch_size)
    seen = dict(follow(zip(needed, measured_again, strict=True), len(needed), "subnets"))
    rows, average = compare(ours, anyway, drawn, {text: one.correct for text, one in seen.items()})
    write_json(
        comparison,
        {
            "made_by": made_by,
            "test_images": len(truth),
            "measurements": measurements,
            "pool": len(everything),
            "predicted": int(every["reason"].isin(NOT_TIMED).sum()),
            "random_searches": baselines.random_searches,
            "budgets": [
                {"budget": limit["name"], "budget_ms": limit["budget_ms"], **row}
                for limit, row in zip(limits, rows, strict=True)
            ],
            "average": average,
            "evaluated": [
                {"arch": text, "top1_percent": one.top1_percent, **one.circumstances()} for text, one in seen.items()
            ],
        },
    )


if __name__ == "__main__":
    cli.run(main)
