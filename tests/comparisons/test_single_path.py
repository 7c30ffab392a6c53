"""Single-Path on problems whose best subnet is plain, in a space of four subnets."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch

from comparisons.strategies.single_path import Found, single_path
from foxnas.errors import FoxnasError
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.space.layers import UnitSpec
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.training import train_supernet

#: One layer, with a large kernel or a small one, wide or narrow.
SPACE = SearchSpace(
    name="four", image_sizes=(32,), kernel_sizes=(3, 7), expansion_ratios=(2, 3), depths=(1,), stem_width=8,
    stem_stride=2, units=(UnitSpec(8, 1, 2),), head_width=16, image_channels=1, classes=2,
)  # fmt: skip
SMALL, WIDE, LARGE, BOTH = (f"r32_k{k}e{e}" for k in (3, 7) for e in (2, 3))
#: To drop the large kernel saves more than to drop the width.
LATENCY_MS = {SMALL: 2.0, WIDE: 3.0, LARGE: 3.5, BOTH: 4.5}


def latency_ms(archs: Sequence[Arch]) -> np.ndarray:
    return np.array([LATENCY_MS[arch.text] for arch in archs])


@cache
def problem() -> tuple[Supernet, np.ndarray, np.ndarray]:
    """Images of pairs of dots, in classes by the distance of a pair, and a supernet trained on them.

    Distances are 12 or 20 pixels (the image is cut from a ring of 32) in one class, 16 in the other. With K = 3 the
    network sees 11 pixels at a time, with K = 7 it sees 19.
    """
    rng, count = np.random.default_rng(0), 1024
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 40, (count, 32, 32, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        for row in range(2, 30, 4):
            first = rng.integers(0, 32)
            for dot in (first, first + (12, 16)[label]):
                image[row : row + 2, [dot % 32, (dot + 1) % 32]] = 255
    phase = Phase(8, 0.01, SPACE.kernel_sizes, SPACE.expansion_ratios, SPACE.depths)
    recipe = Recipe(seed=0, batch_size=64, warm_up_steps=10, average_decay=0.9, phases=(phase,))
    return train_supernet(SPACE, images, labels, recipe), images, labels


def searched(budget_ms: float, seed: int = 0) -> Found:
    supernet, images, labels = problem()
    return single_path(supernet, 32, budget_ms, latency_ms, images, labels, 4, 64, 0.001, seed)


def test_which_subnet_is_best_is_plain() -> None:
    supernet, images, labels = problem()
    x = to_input(images)
    with torch.no_grad():
        right = {
            arch: float((supernet(x, SPACE.parse(arch)).argmax(1).numpy() == labels).mean()) for arch in LATENCY_MS
        }
    assert min(right[LARGE], right[BOTH]) > 0.95
    assert max(right[SMALL], right[WIDE]) < 0.6


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("budget_ms", "best"), [(3.6, LARGE), (2.5, SMALL), (4.6, BOTH)])
def test_the_best_subnet_under_the_budget_is_found(budget_ms: float, best: str, seed: int) -> None:
    """The width goes, although that saves less; all goes where nothing else is allowed, and nothing where all is."""
    found = searched(budget_ms, seed)
    assert (found.arch.text, found.latency_ms) == (best, LATENCY_MS[best])


def test_a_training_is_reproducible_and_leaves_the_supernet_as_it_is() -> None:
    supernet = problem()[0]
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    assert searched(3.6) == searched(3.6)
    assert all((value == before[name]).all() for name, value in supernet.state_dict().items())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FoxnasError, match=r"smallest subnet at 32 px is predicted at 2 ms, above .* 1\.5 ms"):
        searched(1.5)
    supernet, images, labels = problem()
    with pytest.raises(FoxnasError, match="batch_size is 2000; it must be at most the 1024 images"):
        single_path(supernet, 32, 3.0, latency_ms, images, labels, 1, 2000, 0.001, 0)
    broken = copy.deepcopy(supernet)
    with torch.no_grad():
        broken.classifier.weight.fill_(torch.nan)
    with pytest.raises(FoxnasError, match=r"diverged in epoch 1, step 1 of 16; lower .*learning_rate, 0\.001"):
        single_path(broken, 32, 3.0, latency_ms, images, labels, 1, 64, 0.001, 0)
