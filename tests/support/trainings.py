"""A small training: its recipe, its images, and whether two ended alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foxnas.files.arrays import seal_array
from foxnas.space.layers import UnitSpec
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe
from tests.support.exports import blobs

#: Every choice of the demo's kind and both its types of unit, but two units: what a training does hangs on no number.
SPACE = SearchSpace(
    name="two-units",
    image_sizes=(16, 20, 24),
    kernel_sizes=(3, 5, 7),
    expansion_ratios=(2, 3, 4, 6),
    depths=(2, 3, 4),
    stem_width=4,
    stem_stride=2,
    units=(UnitSpec(6, 2, 2), UnitSpec(8, 1, 1)),
    head_width=32,
    image_channels=1,
    classes=10,
)

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


def split_arrays(folder: Path, space: SearchSpace) -> Mapping[str, Any]:
    """Sealed arrays of 48 images of ten classes to train with, 32 to calibrate and 40 to verify."""

    def write(name: str, numbers: np.ndarray) -> Path:
        path = folder / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, numbers)
        seal_array(path)
        return path

    sized = {
        key: [write(f"{s}/{key}", blobs(count, (s, s, 1), seed)) for s in space.image_sizes]
        for key, count, seed in (("calibration", 32, 2), ("verify_images", 40, 1))
    }
    labels = {name: write(name, np.arange(count) % 10) for name, count in (("labels", 48), ("verify_labels", 40))}
    return {"images": write("images", blobs(48, (28, 28, 1), 0)), **labels, **sized}
