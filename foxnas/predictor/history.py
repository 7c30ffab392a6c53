"""What the predictors of each round said of the same architectures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch


def predicted_by_round(archs: Sequence[Arch], predictors: Sequence[Path], sizes: int) -> dict[str, list[float]]:
    """Return the predicted accuracies, in the predictors' unit, in a column per round: accuracy_round_0, ...

    Round 0 are the predictors that were fitted to the sample, before any round. `predictors` are those of so many image
    `sizes`, round after round. Raises FoxnasError naming a file that is no predictor.
    """
    found = {}
    for number, first in enumerate(range(0, len(predictors), sizes)):
        of_size = {one.image_size: one for one in map(Predictor.load, predictors[first : first + sizes])}
        found[f"accuracy_round_{number}"] = [float(of_size[arch.image_size].predict([arch]).mean[0]) for arch in archs]
    return found
