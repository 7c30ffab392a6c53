"""A look at a folder of photographs: how many there are of which class and size, and which files are suspicious."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from foxnas.errors import FoxnasError
from foxnas.images.conversion import FORMATS
from foxnas.images.decoding import unreadable
from foxnas.images.folders import files_of, list_images

#: A photograph whose shorter side is below this is more likely a thumbnail or an icon.
TINY_PX = 32

#: Pillow's modes of photographs without colour.
_GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Survey:
    """What was found in a folder.

    Attributes
    ----------
    folder
        Where it is.
    classes
        Names of the classes, in the order of their numbers.
    images
        One row per image that can be read: path (below the folder), label, part, width and height in pixels, and mode.
    unreadable
        Why the others cannot be read, by path.
    duplicates
        Paths of the same content, in groups.
    """

    folder: Path
    classes: list[str]
    images: pd.DataFrame
    unreadable: dict[str, str]
    duplicates: list[list[str]]

    def counts(self, part: str | None = None) -> pd.Series:
        """Return how many readable images each class has, by name, in one part or all."""
        rows = self.images if part is None else self.images[self.images["part"] == part]
        found = np.bincount(rows["label"], minlength=len(self.classes))
        return pd.Series(found, index=self.classes)

    @property
    def parts(self) -> dict[str, int]:
        """How many readable images each part has."""
        return {str(part): len(rows) for part, rows in self.images.groupby("part", sort=False)}

    @property
    def shorter_sides(self) -> np.ndarray:
        """The shorter side of every readable image, in pixels."""
        return self.images[["width", "height"]].to_numpy().min(axis=1)

    @property
    def tiny(self) -> list[str]:
        """Paths of images with a side below `TINY_PX`."""
        return list(self.images["path"][self.shorter_sides < TINY_PX])

    @property
    def other_modes(self) -> dict[str, str]:
        """Mode of the images that are grey among coloured ones, or the other way round, by path."""
        grey = self.images["mode"].isin(_GREY)
        rows = self.images[grey != (grey.mean() > 0.5)]
        return dict(zip(rows["path"], rows["mode"], strict=True))

    @property
    def split_duplicates(self) -> list[list[str]]:
        """Those groups of duplicates that are of several classes or parts."""
        home = self.images.set_index("path")[["part", "label"]]
        return [group for group in self.duplicates if len(home.loc[group].drop_duplicates()) > 1]


def survey_folder(folder: Path, processes: int) -> Survey:
    """Read every image of a folder once, and return what was found.

    Raises
    ------
    FoxnasError
        The folder is not one of classes (`list_images`), or has no image of a class that can be read.
    """
    listed = list_images(folder)
    files = files_of(listed.images, folder)
    broken = unreadable(files, 3, processes)
    readable = np.setdiff1d(np.arange(len(files)), list(broken))
    images = listed.images.iloc[readable].reset_index(drop=True)
    if lost := sorted(set(range(len(listed.classes))) - set(images["label"])):
        raise FoxnasError(
            f"{folder}: no image of class {listed.classes[lost[0]]} can be read "
            f"({broken[int(np.flatnonzero(listed.images['label'] == lost[0])[0])]}); replace them, or remove the class"
        )
    seen = []
    for path in images["path"]:
        with Image.open(folder / path, formats=FORMATS) as image:
            seen.append((*image.size, image.mode))
    images[["width", "height", "mode"]] = pd.DataFrame(seen, columns=["width", "height", "mode"])
    why = {str(listed.images["path"].iloc[row]): reason for row, reason in broken.items()}
    return Survey(folder, listed.classes, images, why, _duplicates(images, folder))


def _duplicates(images: pd.DataFrame, folder: Path) -> list[list[str]]:
    """Return the groups of equal files; only files of equal size are read."""
    groups: dict[str, list[str]] = {}
    for path in images["path"][images["bytes"].duplicated(keep=False)]:
        with (folder / path).open("rb") as content:
            groups.setdefault(hashlib.file_digest(content, "sha256").hexdigest(), []).append(path)
    return [group for group in groups.values() if len(group) > 1]
