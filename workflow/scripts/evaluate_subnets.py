"""Measure the accuracy of subnets: a shard of one image size, or candidates of several."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from foxnas import command
from foxnas.accuracy import evaluate, fold_means, prepare_subnet
from foxnas.accuracy_table import TARGETS
from foxnas.arrays import ArraysBySize
from foxnas.config.accuracy import AccuracyConfig
from foxnas.config.space import SpaceConfig
from foxnas.data import to_input
from foxnas.progress import follow
from foxnas.supernet.checkpoint import load_supernet
from foxnas.tables import read_table, replacing, write_table

COLUMNS = ["id", "arch", *TARGETS.values(), "images"]


def main(
    *,
    space: SpaceConfig,
    accuracy: AccuracyConfig,
    sampling_seed: int,
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
    network = load_supernet(built, supernet)
    chosen = read_table(subnets, ["id", "arch"])
    calibrating, pixels, truth = ArraysBySize(calibration), ArraysBySize(images), np.load(labels)
    rows, bits, folds = [], [], []
    for row in follow(chosen.itertuples(), len(chosen), "subnets"):
        arch = built.parse(str(row.arch))
        recalibration = to_input(calibrating.at(arch.image_size)[: accuracy.recalibration_images])
        subnet = prepare_subnet(network, arch, recalibration, accuracy.batch_size)
        result = evaluate(subnet, pixels.at(arch.image_size), truth, accuracy.batch_size)
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
        np.savez(temporary, id=chosen["id"].to_numpy(str), correct=_stacked(bits), probability_folds=_stacked(folds))
    settings = {"space": space, "accuracy": accuracy, "sampling_seed": sampling_seed}
    write_table(
        table,
        pd.DataFrame(rows, columns=COLUMNS),
        command.made_by(__file__, settings, precision="float32", device="cpu"),
    )


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Return the rows as one array; a round of search may have nothing new to measure."""
    return np.stack(rows) if rows else np.empty((0, 0))


if __name__ == "__main__":
    command.run(main)
