"""Predictions for architectures of several image sizes, each by its size's predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch


def predict_each(predictors: Mapping[int, Predictor], archs: Sequence[Arch]) -> np.ndarray:
    """Return the prediction for each subnet by its size's predictor, and its 95% prediction interval: (subnets, 3)."""
    found = np.empty((len(archs), 3))
    for size in {arch.image_size for arch in archs}:
        rows = [i for i, arch in enumerate(archs) if arch.image_size == size]
        predicted = predictors[size].predict([archs[i] for i in rows])
        found[rows] = np.column_stack([predicted.mean, predicted.lower, predicted.upper])
    return found


def predicted_by_round(archs: Sequence[Arch], predictors: Sequence[Path], sizes: int) -> dict[str, np.ndarray]:
    """Return the predicted accuracies, in the predictors' unit, in a column per round: accuracy_round_0, ...

    Round 0 are the predictors that were fitted to the sample, before any round. `predictors` are those of so many image
    `sizes`, round after round. Raises FoxnasError naming a file that is no predictor.
    """
    found = {}
    for number, first in enumerate(range(0, len(predictors), sizes)):
        of_size = {one.image_size: one for one in map(Predictor.load, predictors[first : first + sizes])}
        found[f"accuracy_round_{number}"] = predict_each(of_size, archs)[:, 0]
    return found
