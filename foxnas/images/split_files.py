"""Split a listed folder of image files into lists of files."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_provenance, read_table, write_table
from foxnas.images.config import DataConfig
from foxnas.images.decoding import unreadable
from foxnas.images.folders import COLUMNS, check_classes, files_of
from foxnas.images.labelled import write_rows
from foxnas.images.splits import deal, part_of_row, replace_unreadable
from foxnas.images.strata import Classes, say_missing

log = logging.getLogger(__name__)


def split_files(
    data: DataConfig, channels: int, classes: int, listing: Path, target: Path, processes: int
) -> dict[str, Any]:
    """Write ``<split>-images.csv`` and ``<split>-labels.npy``, and return what went where.

    Where corrupt images are to be skipped, every image of fit, verify and test is decoded once here, and one that
    cannot be is replaced by another of the same part, so that a split has the size it is said to have.

    Raises FoxnasError when the images are too few or of another number of classes.
    """
    assert data.folder is not None  # the config refuses a folder data set without one
    if channels not in (1, 3):
        raise FoxnasError(f"space.image_channels is {channels}; image files are grey, 1, or colour, 3")
    folder = Path(data.folder)
    images = read_table(listing, [*COLUMNS, "part"])
    labels = images["label"].to_numpy()
    check_classes(labels, classes, folder)
    parts = {str(part): len(of_part) for part, of_part in images.groupby("part", sort=False)}
    known = Classes(labels, read_provenance(listing)["classes"])
    strata = known if data.stratified else None
    dealt, spare = deal(parts, data.splits.model_dump(), data.evaluate_on, data.seed, strata)
    reasons: dict[str, str] = {}
    if data.corrupt_images == "skip":

        def broken(rows: np.ndarray) -> np.ndarray:
            found = unreadable(files_of(images.iloc[rows], folder), channels, processes)
            reasons.update({str(images["path"].iloc[rows[place]]): reason for place, reason in found.items()})
            return np.isin(np.arange(len(rows)), list(found))

        asked = {name: rows for name, rows in dealt.items() if name != "train"}
        evaluated, _ = replace_unreadable(asked, spare, broken, labels if data.stratified else None)
        dealt = {**dealt, **evaluated}
        for name, reason in reasons.items():
            log.warning("skipped %s: %s", name, reason)
        log.info("%d images cannot be read; others of the same part took their places", len(reasons))
    say_missing(known, dealt)
    recorded: dict[str, Any] = {}
    for name, rows in dealt.items():
        chosen = images.iloc[rows]
        path = target / f"{name}-images.csv"
        write_table(path, chosen[COLUMNS], {"script": Path(__file__).name, "split": name, "folder": data.folder})
        write_rows(chosen["label"].to_numpy(np.int64), np.arange(len(rows)), target / f"{name}-labels.npy")
        part = part_of_row(parts, rows[0])
        log.info("%s: %d of the %d %s images", name, len(rows), parts[part], part)
        recorded[name] = {
            "published": part,
            "images": len(rows),
            "list": path.name,
            "list_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    if data.corrupt_images == "skip":
        recorded["skipped"] = reasons
    return recorded
