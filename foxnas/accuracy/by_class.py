"""Accuracy class by class: the mean over classes (balanced accuracy), and the worst class with its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def recalls(correct: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the images of every class and the share that is called so, in percent; None where there are no images.

    Parameters
    ----------
    correct
        Which images are right, bool (n,).
    truth
        Their classes, (n,).
    """
    images = np.bincount(truth, minlength=len(names))
    right = np.bincount(truth[correct], minlength=len(names))
    return [
        {"label": name, "images": count, "recall_percent": 100 * hits / count if count else None}
        for name, count, hits in zip(names, images.tolist(), right.tolist(), strict=True)
    ]


def over_classes(correct: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return what `of_recalls` does."""
    return of_recalls(recalls(correct, truth, names))


def of_recalls(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean recall over classes, the class with the lowest, and the names of those without images.

    Of equals, the worst is the first.
    """
    seen = [row for row in rows if row["recall_percent"] is not None]
    worst = min(seen, key=lambda row: row["recall_percent"])
    return {
        "mean_class_percent": float(np.mean([row["recall_percent"] for row in seen])),
        "worst_class": {name: worst[name] for name in ("label", "images", "recall_percent")},
        "classes_without_images": [row["label"] for row in rows if row["recall_percent"] is None],
    }


def in_words(found: dict[str, Any]) -> str:
    """Return these figures as a log has them: ``mean over classes 70.10%, worst shirt 44.20% of 80 images``."""
    worst = found["worst_class"]
    return (
        f"mean over classes {found['mean_class_percent']:.2f}%, worst {worst['label']} "
        f"{worst['recall_percent']:.2f}% of {worst['images']:,} images"
    )
