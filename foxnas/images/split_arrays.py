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
from foxnas.images.splits import deal, part_of_row
from foxnas.images.strata import Classes, say_missing


def split_arrays(data: DataConfig, channels: int, classes: int, source: Path, target: Path) -> dict[str, Any]:
    """Write ``<split>-images.npy`` and ``<split>-labels.npy``, and return what went where.

    Raises FoxnasError when the arrays are damaged, too few, or not what the space is for.
    """
    parts: Sequence[LabelledImages]
    parts = load_fashion_mnist(source) if data.dataset == "fashion-mnist" else load_arrays(source)
    check_fits(parts, channels, classes)
    published, held_out = parts
    first = len(published.labels)
    counts = {"train": first, "test": len(held_out.labels)}
    labels = np.concatenate([published.labels, held_out.labels])
    known = Classes(labels, [str(number) for number in range(classes)])
    rows, _ = deal(counts, data.splits.model_dump(), data.evaluate_on, data.seed, known if data.stratified else None)
    say_missing(known, rows)
    recorded = {}
    for name, chosen in rows.items():
        name_of_part = part_of_row(counts, chosen[0])
        part, own = (held_out, chosen - first) if name_of_part == "test" else (published, chosen)
        images, shown = part.images, own
        if data.scene is not None:
            from foxnas.images.scenes import set_in_scene  # here, since it loads torch

            rng = np.random.default_rng([data.seed, int(part is held_out)])
            images, shown = set_in_scene(images, **data.scene.model_dump(), rng=rng, rows=own), np.arange(len(own))
        write_rows(images, shown, target / f"{name}-images.npy")
        write_rows(part.labels, own, target / f"{name}-labels.npy")
        recorded[name] = {
            "published": name_of_part,
            "images": len(own),
            "images_sha256": digest(load_array(target / f"{name}-images.npy", "r")),
            "rows": own.tolist(),
        }
    return recorded
