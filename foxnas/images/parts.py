"""Parts of a data folder: which of its folders holds the training, the validation and the test images.

A folder is told by its name, whatever its case: ``Training``, ``val_images``, ``test-set``.
"""

from __future__ import annotations

import logging
import os
import re
from itertools import combinations
from pathlib import Path

from foxnas.errors import FoxnasError

log = logging.getLogger(__name__)

_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "heldout", "holdout"),
}
_PART = {word: part for part, words in _NAMES.items() for word in words}
_USUAL = "train, val and test"

#: Words beside the part's in a folder's name: val_images, test-set, train data.
_BESIDE = {
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "photo",
    "photos",
    "set",
    "data",
    "dataset",
    "split",
}

#: Names of folders that systems and programs leave behind, besides those that begin with a dot.
_LEFT_BEHIND = {"__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}


def hidden(name: str) -> bool:
    """Return whether a file or folder of this name is passed over."""
    return name.startswith(".") or name in _LEFT_BEHIND


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in one, sorted, without hidden ones."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not hidden(entry.name))
    except OSError as error:
        raise FoxnasError(f"{folder}: cannot be read ({error.strerror}); mend it or move it away") from error


def part_of(name: str) -> str | None:
    """Return the part that a folder of this name holds: train, validation, test or none."""
    words = _words(name)
    return _PART.get("".join(word for word in words if word not in _BESIDE))


def _words(name: str) -> list[str]:
    return [word.removesuffix("set") or word for word in re.findall("[a-z]+", name.lower())]


def find_parts(folder: Path) -> dict[str, Path]:
    """Return the folders of train, validation and test, as far as there are any; of a folder without parts, itself.

    Validation and test hold class folders named as in train. A folder of theirs without any is passed over when the
    other one has them, as ImageNet's test images without labels.

    Raises
    ------
    FoxnasError
        A folder looks like a part but its name is unknown or taken, there is no train folder beside others, or none
        of those that should hold images held out has class folders.
    """
    inside = {name: subfolders(folder / name) for name in subfolders(folder)}
    named: dict[str, list[str]] = {part: [] for part in _NAMES}
    for name in inside:
        if part := part_of(name):
            named[part].append(name)
    filled = {part: [name for name in names if inside[name]] for part, names in named.items()}
    if not filled["train"]:
        _refuse_parts_without_training(folder, inside, named, filled)
        return {"train": folder}
    for part, names in filled.items():
        if len(names) > 1:
            raise FoxnasError(f"{folder}: {_both(names)} are both names of {part} images; leave one, or rename one")
    train = filled["train"][0]
    _refuse_unknown(folder, inside, train)
    found = {"train": folder / train}
    unlabelled = []
    for part in ("validation", "test"):
        for name in named[part]:
            # One folder of another name holds images that nobody sorted: test/unknown, val/images.
            if len(inside[name]) > 1 or set(inside[name]) & set(inside[train]):
                found[part] = folder / name
            else:
                unlabelled.append(folder / name)
    if unlabelled and len(found) == 1:
        raise FoxnasError(
            f"{unlabelled[0]}: has no class folders; sort its images into one folder a class, named as in "
            f"{folder / train}"
        )
    for place in unlabelled:
        log.info("passed over %s: it has no class folders", place)
    return found


def _both(names: list[str]) -> str:
    return " and ".join(names[:2])


def _refuse_parts_without_training(
    folder: Path, inside: dict[str, list[str]], named: dict[str, list[str]], filled: dict[str, list[str]]
) -> None:
    """Raise FoxnasError where folders look like parts although none of training images has class folders."""
    if held_out := [*filled["validation"], *filled["test"]]:
        raise FoxnasError(
            f"{folder / held_out[0]}: has class folders, but {folder} has no folder train with such; rename the one of "
            "the training images, or write data.folder: the folder that holds the classes"
        )
    if (train := named["train"]) and (others := [*named["validation"], *named["test"]]):
        raise FoxnasError(
            f"{folder / train[0]}: has no class folders, nor has {others[0]}; sort the images of both into one folder "
            "a class"
        )
    if len(names := [name for name, classes in inside.items() if classes and set(_words(name)) & set(_PART)]) > 1:
        raise FoxnasError(f"{folder}: {_both(names)} look like parts of a data set; rename them {_USUAL}")
    several = {name: set(classes) for name, classes in inside.items() if len(classes) > 1}
    for one, other in combinations(several, 2):
        if len(both := sorted(several[one] & several[other])) > 1:
            raise FoxnasError(
                f"{folder}: {one} and {other} both hold {_both(both)}, as parts of a data set do, not classes; rename "
                f"them {_USUAL}, or write data.folder: one of them. Of classes, give such folders different names"
            )
    if len(inside) == 1 and len(next(iter(inside.values()))) > 1:
        raise FoxnasError(
            f"{folder}: has the one folder {next(iter(inside))}, which has several; write data.folder: "
            f"{folder / next(iter(inside))}"
        )


def _refuse_unknown(folder: Path, inside: dict[str, list[str]], train: str) -> None:
    """Raise FoxnasError for a folder that is a part by its looks, beside `train`, but not by its name."""
    for name, classes in inside.items():
        alike = len(set(classes) & set(inside[train])) > 1 or (classes and set(_words(name)) & set(_PART))
        if part_of(name) is None and alike:
            raise FoxnasError(
                f"{folder / name}: looks like a part of the data set beside {train}, but its name is none of "
                f"{_USUAL}; rename it, or move it out of {folder}"
            )
