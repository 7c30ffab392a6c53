"""Folds of a small set: the fit images and as many of the train split change places, other ones in each fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_provenance, read_table, write_table
from foxnas.images.config import ViewConfig
from foxnas.images.decoding import unreadable
from foxnas.images.folders import COLUMNS, files_of
from foxnas.images.labelled import write_rows


def fold_places(readable: np.ndarray, fit: int, fold: int) -> np.ndarray:
    """Return the places (fit,) in the train split whose images fold `fold`, from 1, evaluates on.

    They are the last of those that can be read, so that the first images, which calibrate, stay as far as they can.
    Folds have none in common. Raises FoxnasError when there are too few.
    """
    end = len(readable) - (fold - 1) * fit
    if end < fit:
        raise FoxnasError(
            f"fold {fold} needs {fold * fit} images of the train split that can be read, and there are "
            f"{len(readable)}; lower supernet.folds"
        )
    return readable[end - fit : end]


def swap_fold(
    fold: int,
    view: ViewConfig,
    train: tuple[Path, Path],
    fit: tuple[Path, Path],
    train_out: tuple[Path, Path],
    fit_out: tuple[Path, Path],
    processes: int,
) -> None:
    """Write a fold's images (or lists of their files) and labels.

    The fit images take the places of those that the fold evaluates on, so that a stratified order stays one.

    Parameters
    ----------
    train, fit, train_out, fit_out
        Images and labels.
    """
    labels, of_fit = load_array(train[1]), load_array(fit[1])
    listed = train[0].suffix == ".csv"
    readable = np.arange(len(labels))
    if listed and view.corrupt_images == "skip":
        assert view.folder is not None  # only a folder's images are listed
        files = files_of(read_table(train[0], COLUMNS), Path(view.folder))
        readable = np.setdiff1d(readable, list(unreadable(files, view.channels, processes)))
    places = fold_places(readable, len(of_fit), fold)
    # Rows of both together: of the train split with the fit images behind it.
    rows = np.arange(len(labels))
    rows[places] = len(labels) + np.arange(len(of_fit))
    both = np.concatenate([labels, of_fit])
    for chosen, (images, truth) in ((rows, train_out), (places, fit_out)):
        write_rows(both, chosen, truth)
        if listed:
            table = pd.concat([read_table(path, COLUMNS) for path in (train[0], fit[0])], ignore_index=True)
            write_table(images, table.iloc[chosen][COLUMNS], {**read_provenance(train[0]), "fold": fold})
        else:
            write_rows(np.concatenate([load_array(train[0], "r"), load_array(fit[0], "r")]), chosen, images)
