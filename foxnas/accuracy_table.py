"""What the accuracy stage leaves behind: target columns, and every subnet's outcome per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.tables import replacing

#: What an accuracy predictor may be fitted to, and its column in accuracy.csv.
TARGETS = {"top1": "top1_percent", "probability": "correct_probability_percent"}

#: Of accuracy.csv.
COLUMNS = ["id", "arch", *TARGETS.values(), "images"]


def write_outcomes(
    path: Path, ids: Sequence[str], correct: Sequence[np.ndarray], probability_folds: Sequence[np.ndarray]
) -> None:
    """Write what each subnet scored; which images it got right become packed bits. There may be no subnet at all."""
    with replacing(path) as temporary:
        np.savez(
            temporary,
            id=np.array(ids, dtype=str),
            correct=np.stack([np.packbits(one) for one in correct]) if len(ids) else np.empty((0, 0), np.uint8),
            probability_folds=np.stack(probability_folds) if len(ids) else np.empty((0, 0)),
        )


def read_outcomes(shards: Sequence[Path], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Return, by target, what each subnet of `ids` scored on parts of the images.

    "top1" is (subnets, images), right or wrong; "probability" is (subnets, folds), the mean probability
    of the correct class on each fold of the images. Raises FoxnasError when a shard lacks a subnet.
    """
    found: dict[str, dict[str, np.ndarray]] = {target: {} for target in TARGETS}
    for path in shards:
        try:
            with np.load(path) as shard:
                right = np.unpackbits(shard["correct"], axis=1)
                for i, name in enumerate(shard["id"]):
                    found["top1"][str(name)] = right[i]
                    found["probability"][str(name)] = shard["probability_folds"][i]
        except (OSError, ValueError, KeyError) as error:
            raise FoxnasError(f"{path}: is damaged ({error}); delete it and run again to have it made anew") from error
    if missing := [name for name in ids if name not in found["top1"]]:
        raise FoxnasError(f"{shards[0].parent}: no outcomes of subnet {missing[0]}; delete that folder and run again")
    return {target: np.stack([values[name] for name in ids]) for target, values in found.items()}
