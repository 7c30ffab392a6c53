"""Images that are arrays: plain .npy files, and torchvision's downloadable sets turned into them."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.arrays import seal_array, whole_array
from foxnas.files.tables import replacing

#: The files of a data set of arrays; the two held-out ones may be missing.
TRAIN_FILES = ("train-images.npy", "train-labels.npy")
TEST_FILES = ("test-images.npy", "test-labels.npy")

#: torchvision's sets whose parts are named by `split`, and whose images have their channels first.
_BY_SPLIT = ("SVHN", "STL10")

#: Bytes of images that are read or written at once.
BLOCK_BYTES = 64_000_000


@dataclass(frozen=True)
class LabelledImages:
    """uint8 images (n, H, W, channels) and int64 labels (n,)."""

    images: np.ndarray
    labels: np.ndarray


def load_arrays(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return the training and the held-out images of a folder of arrays, mapped rather than read.

    The held-out part is empty when its files are missing.

    Raises
    ------
    FoxnasError
        A file is missing, damaged, or not uint8 (n, H, W[, channels]) with one whole number per row.
    """
    if not folder.is_dir():
        raise FoxnasError(f"data.folder {folder} does not exist; it should hold {', '.join(TRAIN_FILES + TEST_FILES)}")
    train = _load_pair(folder, TRAIN_FILES)
    if not any((folder / name).exists() for name in TEST_FILES):
        return train, LabelledImages(train.images[:0], train.labels[:0])
    test = _load_pair(folder, TEST_FILES)
    if test.images.shape[3] != train.images.shape[3]:
        raise FoxnasError(
            f"{folder / TEST_FILES[0]}: has {test.images.shape[3]} channels, the training images have "
            f"{train.images.shape[3]}; convert one"
        )
    return train, test


def _load_pair(folder: Path, names: Sequence[str]) -> LabelledImages:
    images, labels = (_load(folder / name) for name in names)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
        raise FoxnasError(
            f"{folder / names[0]}: holds {images.dtype} {images.shape}; "
            "it should be uint8 (images, height, width, channels)"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise FoxnasError(
            f"{folder / names[1]}: holds {labels.dtype} {labels.shape}; it should have one whole number for each of "
            f"the {len(images)} images"
        )
    return LabelledImages(images, np.asarray(labels, np.int64))


def _load(path: Path) -> np.ndarray:
    try:
        return whole_array(path, "r")
    except FileNotFoundError as error:
        wanted = ", ".join(TRAIN_FILES + TEST_FILES)
        raise FoxnasError(f"{path} is missing; the folder should hold {wanted}") from error
    except (OSError, ValueError) as error:
        raise FoxnasError(f"{path}: is not a whole .npy file of numbers ({error}); get it anew") from error


def copy_arrays(folder: Path, target: Path, made_by: Mapping[str, Any] | None = None) -> None:
    """Put a folder's arrays into `target`, checked; without held-out ones, empty arrays stand for them."""
    train, test = load_arrays(folder)
    write_arrays(train, test, target, made_by)


def write_arrays(
    train: LabelledImages, test: LabelledImages, target: Path, made_by: Mapping[str, Any] | None = None
) -> None:
    """Write both parts as the four files."""
    for part, (images, labels) in ((train, TRAIN_FILES), (test, TEST_FILES)):
        write_rows(part.images, np.arange(len(part.labels)), target / images, made_by)
        write_rows(part.labels, np.arange(len(part.labels)), target / labels, made_by)


def fetch_torchvision(name: str, folder: Path | None, target: Path, made_by: Mapping[str, Any] | None = None) -> None:
    """Write a torchvision data set of arrays (CIFAR10, MNIST, ...) as the four files.

    Parameters
    ----------
    name
        The class in torchvision.datasets, whose constructor takes root, download, and train or split.
    folder
        Its root, if it was downloaded before; None downloads it, to a folder that does not stay.

    Raises
    ------
    FoxnasError
        It is not in `folder`, or cannot be downloaded.
    """
    from torchvision import datasets

    with tempfile.TemporaryDirectory() as scratch:
        parts = []
        for train in (True, False):
            part = {"split": "train" if train else "test"} if name in _BY_SPLIT else {"train": train}
            try:
                found = getattr(datasets, name)(str(folder or scratch), download=folder is None, **part)
            except (OSError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0]
                raise FoxnasError(
                    f"{name} could not be obtained ({reason}); set data.folder to a folder that torchvision "
                    f"downloaded it to: torchvision.datasets.{name}(folder, download=True)"
                ) from error
            images = np.asarray(found.data)
            if name in _BY_SPLIT:
                images = images.transpose(0, 2, 3, 1)
            labels = np.asarray(found.labels if name in _BY_SPLIT else found.targets, np.int64)
            parts.append(LabelledImages(images if images.ndim == 4 else images[..., None], labels))
    write_arrays(parts[0], parts[1], target, made_by)


def write_rows(array: np.ndarray, rows: np.ndarray, path: Path, made_by: Mapping[str, Any] | None = None) -> None:
    """Write some rows of an array as a .npy file, whole or not at all, a block at a time."""
    with replacing(path) as temporary:
        if not len(rows):  # which cannot be mapped
            np.save(temporary, array[:0])
        else:
            written = create_array(temporary, (len(rows), *array.shape[1:]), array.dtype)
            block = rows_in_block(array.shape[1:], array.dtype)
            for start in range(0, len(rows), block):
                part = slice(start, start + block)
                written[part] = array[rows[part]]
            written.flush()
        seal_array(temporary, made_by)


def create_array(path: Path, shape: tuple[int, ...], dtype: np.dtype | type = np.uint8) -> np.memmap:
    """Return a new .npy file's array, mapped for writing, with its disk space taken.

    A mapped file that outgrows the disk later kills the process; taken at once, OSError says so.

    Before anything is written when it is more than the disk has: then with both numbers.
    """
    wanted, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    if wanted > free:
        numbers = f"{shape[0]:,} images take {wanted / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({numbers})")
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    take_space(path)
    return array


def take_space(path: Path) -> None:
    """Have the file system give a file the blocks that its size stands for. Raises OSError when it cannot."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def rows_in_block(shape: Sequence[int], dtype: np.dtype | type = np.uint8) -> int:
    """Return how many rows of this shape are handled at once: some 64 MB, and at most 4,096."""
    return int(np.clip(BLOCK_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize), 1, 4096))


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def check_fits(parts: Sequence[LabelledImages], channels: int, classes: int) -> None:
    """Raise FoxnasError unless images and labels are what the space is for."""
    for part in parts:
        if not len(part.labels):
            continue
        if part.images.shape[3] != channels:
            raise FoxnasError(
                f"the images have {part.images.shape[3]} channels, space.image_channels is {channels}; change the space"
            )
        if part.labels.min() < 0 or part.labels.max() >= classes:
            raise FoxnasError(
                f"labels go from {part.labels.min()} to {part.labels.max()}, but space.classes is {classes}, so that "
                f"they should lie from 0 to {classes - 1}"
            )
        if len(np.unique(part.labels)) < 2:
            raise FoxnasError(f"all images have the one label {part.labels[0]}; a classifier needs two classes")
