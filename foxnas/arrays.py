"""Prepared images by image size, opened when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foxnas.errors import FoxnasError


class ArraysBySize:
    """The .npy files ``.../<size>/<split>-images.npy`` of one split, mapped: in memory as far as there is room."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = {int(path.parent.name): path for path in paths}
        self._held: tuple[int, np.ndarray] | None = None

    def at(self, size: int) -> np.ndarray:
        """Return uint8 (n, size, size, channels). Raises FoxnasError when the size is missing or damaged."""
        if self._held is not None and self._held[0] == size:
            return self._held[1]
        if size not in self._paths:
            raise FoxnasError(f"no images at {size} px were prepared, only at {sorted(self._paths)} px")
        path = self._paths[size]
        try:
            # Read-only: Linux refuses a map for writing, even of a copy, that is larger than memory and swap.
            images = np.asarray(np.load(path, mmap_mode="r"))
        except (OSError, ValueError) as error:
            raise FoxnasError(f"{path}: is missing or damaged ({error}); delete it and run again") from error
        if images.dtype != np.uint8 or images.shape[1:3] != (size, size):
            raise FoxnasError(f"{path}: holds {images.dtype} {images.shape}; delete it and run again")
        self._held = size, images
        return images
