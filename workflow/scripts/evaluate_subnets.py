"""Measure the accuracy of subnets: a shard of one image size, or candidates of several."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from foxnas import command
from foxnas.accuracy import Preparation, evaluate, fold_means
from foxnas.accuracy_table import COLUMNS, write_outcomes
from foxnas.arrays import ArraysBySize
from foxnas.config.accuracy import AccuracyConfig
from foxnas.config.sampling import SampleConfig
from foxnas.config.space import SpaceConfig
from foxnas.progress import follow
from foxnas.supernet.checkpoint import load_supernet
from foxnas.tables import read_table, write_table


def main(
    *,
    space: SpaceConfig,
    accuracy: AccuracyConfig,
    sample: SampleConfig,
    supernet: Path,
    subnets: Path,
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    table: Path,
    outcomes: Path,
) -> None:
    """Write top-1 and mean probability per subnet, and which images each got right as packed bits."""
    torch.set_num_threads(threads)
    built = space.build()
    chosen = read_table(subnets, ["id", "arch"])
    preparation = Preparation(
        load_supernet(built, supernet), ArraysBySize(calibration), accuracy.recalibration_images, accuracy.batch_size
    )
    pixels, truth = ArraysBySize(images), np.load(labels)
    rows, correct, folds = [], [], []
    for row in follow(chosen.itertuples(), len(chosen), "subnets"):
        arch = built.parse(str(row.arch))
        result = evaluate(preparation.subnet(arch), pixels.at(arch.image_size), truth, accuracy.batch_size)
        rows.append(
            {
                "id": row.id,
                "arch": row.arch,
                "top1_percent": result.top1_percent,
                "correct_probability_percent": result.mean_probability_percent,
                "images": len(truth),
            }
        )
        correct.append(result.correct)
        folds.append(fold_means(result.correct_probability))
    write_outcomes(outcomes, list(chosen["id"]), correct, folds)
    settings = {"space": space, "accuracy": accuracy, "sample": sample}
    write_table(
        table,
        pd.DataFrame(rows, columns=COLUMNS),
        command.made_by(__file__, settings, precision="float32", device="cpu"),
    )


if __name__ == "__main__":
    command.run(main)
