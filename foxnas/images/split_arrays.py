"""Split a data set of arrays, in its scene, into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.files.arrays import load_array
from foxnas.images.config import DataConfig
from foxnas.images.fashion_mnist import load_fashion_mnist
from foxnas.images.labelled import LabelledImages, check_fits, digest, load_arrays, write_rows
from foxnas.images.scenes import set_in_scene
from foxnas.images.splits import deal, from_published


def split_arrays(data: DataConfig, channels: int, classes: int, source: Path, target: Path) -> dict[str, Any]:
    """Write ``<split>-images.npy`` and ``<split>-labels.npy``, and return what went where.

    Raises FoxnasError when the arrays are damaged, too few, or not what the space is for.
    """
    parts: Sequence[LabelledImages]
    parts = load_fashion_mnist(source) if data.dataset == "fashion-mnist" else load_arrays(source)
    check_fits(parts, channels, classes)
    if data.scene is not None:
        parts = [
            LabelledImages(
                set_in_scene(part.images, **data.scene.model_dump(), rng=np.random.default_rng([data.seed, number])),
                part.labels,
            )
            for number, part in enumerate(parts)
        ]
    published, held_out = parts
    first = len(published.labels)
    rows, _ = deal(first, len(held_out.labels), data.splits.model_dump(), from_published(data.evaluate_on), data.seed)
    recorded = {}
    for name, chosen in rows.items():
        of_test = bool(chosen[0] >= first)
        part, own = (held_out, chosen - first) if of_test else (published, chosen)
        write_rows(part.images, own, target / f"{name}-images.npy")
        write_rows(part.labels, own, target / f"{name}-labels.npy")
        recorded[name] = {
            "published": "test" if of_test else "train",
            "images": len(own),
            "images_sha256": digest(load_array(target / f"{name}-images.npy", "r")),
            "rows": own.tolist(),
        }
    return recorded
