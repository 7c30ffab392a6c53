"""Hold our regressions and other people's predictors against subnets that none of them has seen."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from comparisons.predictors.learning import compare
from comparisons.predictors.regressors import Measured, contenders
from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.files.tables import read_table, write_table
from foxnas.predictor.config import RivalsConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: str,
    rivals: RivalsConfig,
    seed: int,
    tables: list[Path],
    scores: Path,
) -> None:
    """Write one row per predictor, image size, number of training subnets and repeat."""
    torch.set_num_threads(1)
    column = (TARGETS | {"latency": "latency_ms"})[target]
    base = "accuracy" if target in TARGETS else "latency"
    measured = {}
    for path in tables:
        rows = read_table(path, ["id", "arch", column])
        if "usable" in rows:
            rows = rows[rows["usable"]]
        archs = tuple(space.parse(str(text)) for text in rows["arch"])
        measured[archs[0].image_size] = Measured(archs, rows[column].to_numpy(dtype=float))
    found = compare(
        space, measured, contenders(base, space, rivals.network_steps), rivals.training_subnets, rivals.repeats, seed
    )
    write_table(scores, pd.DataFrame(map(asdict, found)), made_by)


if __name__ == "__main__":
    cli.run(main)
