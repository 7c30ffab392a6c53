"""Measure a deployed model on the test split, and the same subnet in float beside it."""

from pathlib import Path

import torch

from foxnas import command
from foxnas.accuracy import Preparation, evaluate
from foxnas.arrays import ArraysBySize, load_array
from foxnas.config.accuracy import AccuracyConfig
from foxnas.config.space import SpaceConfig
from foxnas.supernet.checkpoint import load_supernet
from foxnas.tables import read_json, write_json
from foxnas.tflite.seal import read_model
from foxnas.tflite.serving import top1_percent


def main(
    *,
    space: SpaceConfig,
    accuracy: AccuracyConfig,
    xnnpack: bool,
    supernet: Path,
    winner: Path,
    model: Path,
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    result: Path,
) -> None:
    """Write top-1 of both on the whole test split."""
    torch.set_num_threads(threads)
    built = space.build()
    arch = built.parse(read_json(winner)["winner"]["arch"])
    preparation = Preparation(
        load_supernet(built, supernet), ArraysBySize(calibration), accuracy.recalibration_images, accuracy.batch_size
    )
    subnet = preparation.subnet(arch)
    pixels, truth = ArraysBySize(images).at(arch.image_size), load_array(labels)
    seen = evaluate(subnet, pixels, truth, accuracy.batch_size)
    write_json(
        result,
        {
            "made_by": command.made_by(__file__, {"space": space, "accuracy": accuracy}),
            "arch": arch.text,
            "float_top1_percent": seen.top1_percent,
            "int8_top1_percent": top1_percent(read_model(model), pixels, truth, threads, xnnpack),
            **seen.circumstances(),  # of the float evaluation
        },
    )


if __name__ == "__main__":
    command.run(main)
