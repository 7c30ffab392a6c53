"""Measure a deployed model on the test split, and the same subnet in float beside it."""

from pathlib import Path

import numpy as np
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, write_json
from foxnas.images.labelled import write_rows
from foxnas.int8.serving import answers as answers_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.finishing_config import FINISHED
from foxnas.verdict.paired import packed


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: AccuracyConfig,
    xnnpack: bool,
    supernet: Path,
    winner: Path,
    model: Path,
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    finished: Path | None = None,
    result: Path,
    answers: Path,
) -> None:
    """Write top-1 of both on the whole test split, which images each got right, and the class that int8 says.

    `finished` has the weights of a winner that was trained on its own.
    """
    torch.set_num_threads(threads)
    chosen = read_json(winner)["winner"]
    arch = space.parse(chosen["arch"])
    weights = finished if finished and chosen["batch"] == FINISHED else supernet
    preparation = Preparation(
        load_supernet(space, weights), ArraysBySize(calibration), accuracy.recalibration_images, accuracy.batch_size
    )
    subnet = preparation.subnet(arch)
    pixels, truth = ArraysBySize(images).at(arch.image_size), load_array(labels)
    seen = evaluate(subnet, pixels, truth, accuracy.batch_size)
    said = answers_of(read_model(model), pixels, threads, xnnpack)
    of_int8 = said == truth
    write_rows(said.astype(np.int32), np.arange(len(said)), answers, made_by)
    write_json(
        result,
        {
            "made_by": made_by,
            "arch": arch.text,
            "float_top1_percent": seen.top1_percent,
            "int8_top1_percent": 100 * int(of_int8.sum()) / len(truth),
            "float_correct": packed(seen.correct),
            "int8_correct": packed(of_int8),
            **seen.circumstances(),  # of the float evaluation
        },
    )


if __name__ == "__main__":
    cli.run(main)
