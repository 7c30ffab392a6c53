"""Folders of image files, one folder per class, as torchvision's ImageFolder reads them and ImageNet is laid out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table
from foxnas.images.config import EXTENSIONS as EXTENSIONS
from foxnas.images.decoding import ImageFile
from foxnas.images.parts import find_parts, hidden, subfolders

log = logging.getLogger(__name__)

#: Columns of a list of images: the path below the data folder, the class' number, and the file's size.
COLUMNS = ["path", "label", "bytes"]

#: Folders by device and inode: the path by which one was reached first, and the class folder or parent it belongs to.
Seen = dict[tuple[int, int], tuple[str, Path]]


@dataclass(frozen=True)
class Listed:
    """The images of a folder: `COLUMNS` and part, and the classes' names in the order of their numbers."""

    images: pd.DataFrame
    classes: list[str]


def list_images(folder: Path) -> Listed:
    """List every image of a folder, in ImageFolder's order, without hidden files and folders.

    The classes are the folders in it or, if its folders are parts (`find_parts`), those in each of them. Images held
    out in one folder alone are the part test, whatever the folder's name.

    Raises
    ------
    FoxnasError
        The folder is missing, has no or one class, a class without images, other classes held out than in training,
        or folders that look like parts and are none.
    """
    if not folder.is_dir():
        raise FoxnasError(f"data.folder {folder} does not exist; it should have one folder of images a class")
    seen: Seen = {}
    parts = find_parts(folder)
    train = parts["train"]
    classes = _classes(train)
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
    tables = []
    for part, place in parts.items():
        found = _classes(place)
        if missing := sorted(set(classes) - set(found)):
            raise FoxnasError(
                f"{place}: has no class folder {missing[0]} ({len(missing)} of {train} are missing); add it, "
                f"or move {train / missing[0]} away"
            )
        if extra := sorted(set(found) - set(classes)):
            raise FoxnasError(
                f"{place / extra[0]}: is no class of {train} ({len(extra)} are not); add images of it there, or "
                "move it away"
            )
        tables.append(_images_of(folder, place, classes, seen).assign(part=part))
        log.info("%s images: %d in %d classes of %s", part, len(tables[-1]), len(classes), place)
    return Listed(pd.concat(tables, ignore_index=True), classes)


def _classes(folder: Path) -> list[str]:
    names = subfolders(folder)
    if len(names) < 2:
        there = f"the one class folder {names[0]}" if names else "no class folders"
        raise FoxnasError(f"{folder}: has {there}; a classifier needs two classes, one folder of images each")
    return names


def _images_of(root: Path, folder: Path, classes: list[str], seen: Seen) -> pd.DataFrame:
    rows: list[tuple[str, int, int]] = []
    for above in (root, folder):
        seen[_identity(above)] = (str(above), root)
    for label, name in enumerate(classes):
        before = len(rows)
        for place, files in sorted(_walk(folder / name, seen)):
            for file in sorted(files):
                if file.lower().endswith(EXTENSIONS) and not hidden(file):
                    path = Path(place) / file
                    try:
                        str(path).encode()
                    except UnicodeEncodeError as error:
                        raise FoxnasError(f"{place}: the name of {file!r} is not UTF-8; rename it") from error
                    # A link that leads nowhere is an image that cannot be read: who decodes it says so, or skips it.
                    size = path.stat().st_size if path.exists() else 0
                    rows.append((path.relative_to(root).as_posix(), label, size))
        if len(rows) == before:
            raise FoxnasError(
                f"{folder / name}: has no images ({', '.join(EXTENSIONS)}); remove the class folder or fill it"
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _walk(folder: Path, seen: Seen) -> Iterator[tuple[str, list[str]]]:
    """Give every folder of a class once, by whatever links it is reached, with its files.

    Raises FoxnasError for a folder that belongs to another class, or to another split, too.
    """

    def fail(error: OSError) -> NoReturn:
        raise FoxnasError(f"{error.filename}: cannot be read ({error.strerror}); mend it or move it away") from error

    for place, folders, files in os.walk(folder, followlinks=True, onerror=fail):
        first, owner = seen.setdefault(_identity(Path(place)), (place, folder))
        if owner != folder:
            raise FoxnasError(f"{place}: is the same folder as {first}, so that its images have two places; remove one")
        if first != place:
            log.info("passed over %s: it is the same folder as %s", place, first)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not hidden(name))
        yield place, files


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def files_of(images: pd.DataFrame, folder: Path) -> list[ImageFile]:
    """Return the files of a list of images."""
    return [
        ImageFile(str(folder / path), int(size)) for path, size in zip(images["path"], images["bytes"], strict=True)
    ]


def read_files(table: Path, folder: Path) -> list[ImageFile]:
    """Return the files of a written list of images. Raises FoxnasError when the list is missing or damaged."""
    return files_of(read_table(table, COLUMNS), folder)


def check_classes(listed_labels: np.ndarray, classes: int, folder: Path) -> None:
    """Raise FoxnasError unless the folder has as many classes as the space."""
    if (found := int(listed_labels.max()) + 1) != classes:
        raise FoxnasError(
            f"{folder}: has {found} classes, space.classes is {classes}; write space: {{..., classes: {found}}}"
        )
