"""Measure the accuracy of one shard of subnets."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from foxnas import command
from foxnas.accuracy import evaluate, fold_means, prepare_subnet
from foxnas.config.accuracy import AccuracyConfig
from foxnas.config.space import SpaceConfig
from foxnas.data import to_input
from foxnas.progress import follow
from foxnas.supernet.checkpoint import load_supernet
from foxnas.tables import read_table, replacing, write_table


def main(
    *,
    space: SpaceConfig,
    accuracy: AccuracyConfig,
    sampling_seed: int,
    supernet: Path,
    subnets: Path,
    calibration: Path,
    images: Path,
    labels: Path,
    threads: int,
    table: Path,
    outcomes: Path,
) -> None:
    """Write top-1 and mean probability per subnet, and which images each got right as packed bits."""
    torch.set_num_threads(threads)
    built = space.build()
    network = load_supernet(built, supernet)
    chosen = read_table(subnets, ["id", "arch"])
    pixels, truth = np.load(images), np.load(labels)
    recalibration = to_input(np.load(calibration)[: accuracy.recalibration_images])
    rows, bits, folds = [], [], []
    for row in follow(chosen.itertuples(), len(chosen), "subnets"):
        subnet = prepare_subnet(network, built.parse(str(row.arch)), recalibration, accuracy.batch_size)
        result = evaluate(subnet, pixels, truth, accuracy.batch_size)
        rows.append(
            {
                "id": row.id,
                "arch": row.arch,
                "top1_percent": result.top1_percent,
                "correct_probability_percent": result.mean_probability_percent,
                "images": len(truth),
            }
        )
        bits.append(np.packbits(result.correct))
        folds.append(fold_means(result.correct_probability))
    with replacing(outcomes) as temporary:
        np.savez(temporary, id=chosen["id"].to_numpy(str), correct=np.stack(bits), probability_folds=np.stack(folds))
    settings = {"space": space, "accuracy": accuracy, "sampling_seed": sampling_seed}
    write_table(table, pd.DataFrame(rows), command.made_by(__file__, settings, precision="float32", device="cpu"))


if __name__ == "__main__":
    command.run(main)
