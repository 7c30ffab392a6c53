"""Hold our regressions and other people's predictors against subnets that none of them has seen."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from foxnas import command
from foxnas.accuracy_table import TARGETS
from foxnas.config.predictors import RivalsConfig
from foxnas.config.space import SpaceConfig
from foxnas.predictor.learning import compare
from foxnas.predictor.rivals import Measured, contenders
from foxnas.tables import read_table, write_table


def main(
    *,
    space: SpaceConfig,
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
    built = space.build()
    measured = {}
    for path in tables:
        rows = read_table(path, ["id", "arch", column])
        if "usable" in rows:
            rows = rows[rows["usable"]]
        archs = tuple(built.parse(str(text)) for text in rows["arch"])
        measured[archs[0].image_size] = Measured(archs, rows[column].to_numpy(dtype=float))
    found = compare(
        built, measured, contenders(base, built, rivals.network_steps), rivals.training_subnets, rivals.repeats, seed
    )
    settings = {"space": space, "target": target, "rivals": rivals, "seed": seed}
    write_table(scores, pd.DataFrame(map(asdict, found)), command.made_by(__file__, settings))


if __name__ == "__main__":
    command.run(main)
