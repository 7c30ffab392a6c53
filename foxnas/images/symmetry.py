"""Ways to turn a training image that leave its class what it is."""

from __future__ import annotations

from typing import Literal

import numpy as np

Symmetry = Literal["none", "mirror", "flips", "quarter-turns"]

_BOTH = (True, False)
#: Of each symmetry, its equally likely ways: whether left and right change places, after so many quarter turns.
WAYS: dict[Symmetry, tuple[tuple[bool, int], ...]] = {
    "none": ((False, 0),),
    "mirror": ((True, 0), (False, 0)),
    "flips": tuple((mirrored, turns) for turns in (0, 2) for mirrored in _BOTH),
    "quarter-turns": tuple((mirrored, turns) for turns in range(4) for mirrored in _BOTH),
}


def turn(images: np.ndarray, drawn: np.ndarray, symmetry: Symmetry) -> None:
    """Turn square images (n, size, size, channels), in place, each by the way that its number (n,) in [0, 1) picks."""
    ways = WAYS[symmetry]
    picked = (drawn * len(ways)).astype(int)
    for way, (mirrored, turns) in enumerate(ways):
        rows = picked == way
        turned = np.rot90(images[rows], turns, axes=(1, 2))
        images[rows] = turned[:, :, ::-1] if mirrored else turned
