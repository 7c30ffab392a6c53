"""Folders of made-up photographs, and a data section that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foxnas.images.config import DataConfig


def make_tree(
    root: Path, parts: dict[str, int], classes: int = 3, shorter: int = 40, mode: str = "RGB", seed: int = 0
) -> Path:
    """Smooth random pictures of varied shape, so many a class and part; "" is a tree without parts."""
    rng = np.random.default_rng(seed)
    for part, images in parts.items():
        for label in range(classes):
            folder = root / part / f"n{label:03}"
            folder.mkdir(parents=True)
            for i in range(images):
                seeds = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).convert(mode)
                sides = (shorter, shorter + int(rng.integers(0, shorter)))
                suffix = ".JPEG" if i % 2 else ".png"
                seeds.resize(sides if i % 3 else sides[::-1]).save(folder / f"{part}{label}_{i}{suffix}")
    return root


def data_config(folder: Path, **changes: Any) -> DataConfig:
    values = {
        "dataset": "folder", "folder": str(folder), "scene": None, "centre_share": 0.875, "corrupt_images": "fail",
        "evaluate_on": "train", "seed": 0, "splits": {"train": 6, "fit": 4, "verify": 3, "test": 5},
    }  # fmt: skip
    return DataConfig.model_validate({**values, **changes})
