"""What a training is given besides where a phase of it may stop early; nothing of it where none may.

Imported while the DAG is built: nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foxnas.config.whole import Config
from foxnas.flow.params import preparation
from foxnas.supernet.training.recipe import Recipe


def inputs(recipe: Recipe, calibration: Sequence[str], verify_images: Sequence[str]) -> dict[str, Any]:
    """Return the inputs: calibration images and the verify split at each image size that is trained."""
    if not recipe.stops_early:
        return {}
    held = {"calibration": list(calibration), "verify_images": list(verify_images)}
    return {**held, "verify_labels": "results/data/native/verify-labels.npy"}


def leaves(config: Config, recipe: Recipe) -> dict[str, Any]:
    """Return the config leaves: how a network is evaluated, and which data its classes are named by."""
    assert config.data
    return {"accuracy": preparation(config), "dataset": config.data.dataset} if recipe.stops_early else {}
