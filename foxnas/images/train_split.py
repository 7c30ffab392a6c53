"""The train split, opened for a training: an array, or files that are read as they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foxnas.files.arrays import load_array
from foxnas.images.config import ViewConfig
from foxnas.images.folders import read_files
from foxnas.images.training_files import TrainingFiles


def open_images(
    images: Path, labels: np.ndarray, view: ViewConfig, readers: int, smallest_crop: float
) -> np.ndarray | TrainingFiles:
    """Return a train split: an array that is read as it is needed, or the files of a list, which threads read."""
    if images.suffix != ".csv":
        return load_array(images, "r")
    assert view.folder is not None  # only a folder's images are listed
    files = read_files(images, Path(view.folder))
    return TrainingFiles(files, labels, view.channels, readers, view.corrupt_images == "skip", smallest_crop)
