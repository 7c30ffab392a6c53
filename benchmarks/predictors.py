"""Our regressions against other people's predictors on the measurements of a finished run.

Once-for-All's neural network is trained for as many steps as its authors train it, which the workflow's own comparison
is too short for. Every figure is of subnets that no predictor has seen; all learn from the same ones.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from comparisons.predictors.learning import compare
from comparisons.predictors.regressors import Measured, contenders
from foxnas.config.whole import read_config
from foxnas.files.tables import read_table
from foxnas.space.space import SearchSpace

_TARGETS = {"accuracy": ("accuracy.csv", "top1_percent"), "latency": ("latency-{device}.csv", "latency_ms")}


def read(space: SearchSpace, folder: Path, sizes: list[int], file: str, column: str) -> dict[int, Measured]:
    """Return the usable measurements of a target by image size."""
    found = {}
    for size in sizes:
        rows = read_table(folder / str(size) / file, ["arch", column])
        rows = rows[rows["usable"]] if "usable" in rows else rows
        archs = tuple(space.parse(str(text)) for text in rows["arch"])
        found[size] = Measured(archs, rows[column].to_numpy(dtype=float))
    return found


def main() -> None:
    """Print, per target, error, rank correlation and fit time against the number of subnets learnt from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--device", default="local")
    parser.add_argument("--subnets", type=int, nargs="+", default=[50, 100, 200, 300])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1560)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = read_config(options.config).space
    for base, (file, column) in _TARGETS.items():
        folder, name = options.results / space.name, file.format(device=options.device)
        measured = read(space, folder, list(space.image_sizes), name, column)
        rivals = contenders(base, space, options.steps)
        scores = pd.DataFrame(
            map(asdict, compare(space, measured, rivals, options.subnets, options.repeats, options.seed))
        )
        means = scores.groupby(["predictor", "training_subnets"], sort=False)
        print(f"{base}: mean over {len(measured)} image sizes and {options.repeats} repeats", flush=True)
        for title, label in (("relative_rmse", "RMSE / standard deviation"), ("tau", "Kendall's tau")):
            print(f"{label}, held out, by number of subnets\n{means[title].mean().unstack().round(3).to_string()}")
        print(f"fit, s a size\n{means['fit_seconds'].mean().unstack().round(4).to_string()}\n", flush=True)


if __name__ == "__main__":
    main()
