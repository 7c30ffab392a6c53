"""The images at every size: .npy files that are mapped, never read whole."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.arrays import load_array, seal_array
from foxnas.files.progress import Progress
from foxnas.files.tables import replacing
from foxnas.images.decoding import decode_files, first_readable
from foxnas.images.folders import read_files
from foxnas.images.labelled import create_array, rows_in_block
from foxnas.images.views import View, middle, resized

log = logging.getLogger(__name__)


def prepare_images(
    source: Path,
    folder: Path | None,
    view: View,
    target: Path,
    processes: int,
    first: int | None = None,
    skip: bool = False,
    made_by: Mapping[str, Any] | None = None,
) -> None:
    """Write the images of one split at one size.

    Parameters
    ----------
    source
        An array of images (.npy), or a list of image files below `folder` (.csv).
    first
        At most this number of images; None for all.
    skip
        Whether files among the `first` that cannot be decoded are left out, and the next ones taken.
    made_by
        What the array records of its making.

    Raises
    ------
    FoxnasError
        The source is damaged, or an image file is.
    """
    if source.suffix == ".npy":
        _resize_array(load_array(source, "r")[:first], view, target, made_by)
        return
    assert folder is not None  # the config refuses a folder data set without one
    files = read_files(source, folder)
    if first is not None and skip:
        files, broken = first_readable(files, first, view.channels, processes)
        for path, reason in broken.items():
            log.warning("skipped %s: %s", path, reason)
        if broken:
            log.warning("skipped %d images that cannot be read, of %d", len(broken), first + len(broken))
    decode_files(files[:first], view, target, processes, made_by)


def _resize_array(images: np.ndarray, view: View, target: Path, made_by: Mapping[str, Any] | None) -> None:
    # Here, so that processes that decode files do not load torch.
    from foxnas.images.pixels import resize

    with replacing(target) as temporary:
        array = create_array(temporary, (len(images), *view.shape))
        left, top, right, bottom = middle((images.shape[2], images.shape[1]))
        (width, height), _ = resized((right - left, bottom - top), view.size, view.centre_share)
        block = min(rows_in_block(images.shape[1:]), rows_in_block((height, width, view.channels)))
        progress = Progress(len(images), f"images to {view.size} px")
        for start in range(0, len(images), block):
            part = slice(start, start + block)
            array[part] = resize(np.array(images[part]), view.size, view.centre_share)
            progress.reached(min(start + block, len(images)))
        array.flush()
        seal_array(temporary, made_by)


def check_disk(folder: Path, whole_mb: int) -> None:
    """Raise FoxnasError unless the disk holds what is still missing of `whole_mb`, the images at all sizes.

    Parameters
    ----------
    folder
        Where the sizes' folders are; what they hold already is not asked for again.
    whole_mb
        Megabytes (10^6 bytes) of all arrays of all sizes.
    """
    held_mb = sum(path.stat().st_blocks * 512 for path in folder.glob("[0-9]*/*.npy")) / 1e6
    free_mb = shutil.disk_usage(folder).free / 1e6
    if whole_mb - held_mb > free_mb:
        raise FoxnasError(
            f"{folder}: the images at all sizes take {whole_mb / 1000:.1f} GB, of which {held_mb / 1000:.1f} GB are "
            f"there, and {free_mb / 1000:.1f} GB of the disk are free; lower data.splits.fit, verify or test, name "
            "fewer space.image_sizes, or make room"
        )
