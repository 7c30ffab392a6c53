"""A small training: its recipe, its images, and whether two ended alike."""

from __future__ import annotations

import numpy as np
import torch

from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe

ALL = ((3, 5, 7), (2, 3, 4, 6), (2, 3, 4))

RECIPE = Recipe(
    phases=(Phase(2, 3e-3, (7,), (6,), (4,)), Phase(2, 3e-3, *ALL)),
    batch_size=16,
    batch_parts=1,
    weight_decay=1e-4,
    distillation=0.5,
    average_decay=0.5,
    precision="fp32",
    seed=1,
)


def random_images(count: int = 48) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8), rng.integers(0, 10, count)


def assert_same_weights(one: Supernet, other: dict[str, torch.Tensor]) -> None:
    weights = one.state_dict()
    assert weights.keys() == other.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, other[name]), name
