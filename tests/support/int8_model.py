"""A real int8 model, exported from the shipped supernet, and images for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from foxnas.config.whole import read_config
from foxnas.images.pixels import to_input
from foxnas.int8.export import export_int8
from foxnas.supernet.checkpoint import load_supernet
from tests.support.prepared import prepare_subnet

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RealModel:
    """An exported file, and uint8 images (n, H, W, 1) that its classes are spread over."""

    content: bytes
    images: np.ndarray


@cache
def real_model(seed: int = 0, images: int = 96) -> RealModel:
    """Export a random subnet of the shipped supernet at its smallest image size."""
    config = read_config(REPOSITORY / "config" / "tiny.yaml")
    space = config.space
    rng = np.random.default_rng(seed)
    size = space.image_sizes[0]
    pictures = shapes(images, size, rng)
    supernet = load_supernet(space, REPOSITORY / config.supernet.checkpoint)
    subnet = prepare_subnet(supernet, next(space.sample(size, rng)), to_input(pictures), batch_size=images)
    return RealModel(export_int8(subnet, pictures[:32]), pictures)


def shapes(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw noisy rectangles of any place, extent and brightness: uint8 (n, size, size, 1)."""
    y, x = np.mgrid[:size, :size]
    top, left = rng.integers(0, size // 2, (2, n, 1, 1))
    height, width = rng.integers(size // 6, size, (2, n, 1, 1))
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    bright = rng.integers(60, 230, (n, 1, 1))
    return np.clip(inside * bright + rng.normal(10, 8, (n, size, size)), 0, 255).astype(np.uint8)[..., None]
