"""Splits that hold every class in the share that the whole set has it: what keeps the splits of a small set alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foxnas.errors import FoxnasError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Classes:
    """The class of every image.

    Attributes
    ----------
    labels
        Number of each image's class, int (n,).
    names
        The classes' names, in the order of their numbers.
    """

    labels: np.ndarray
    names: Sequence[str]

    def of(self, first: int, images: int) -> Classes:
        """Return the classes of so many images from the first on."""
        return Classes(self.labels[first : first + images], self.names)


def say_missing(classes: Classes, rows: Mapping[str, np.ndarray]) -> None:
    """Log which splits have no image of a class."""
    for split, chosen in rows.items():
        if lost := sorted(set(range(len(classes.names))) - set(classes.labels[chosen])):
            log.warning(
                "no image of class %s is in %s (of %d classes none is); data.stratified: true puts one there at least",
                classes.names[lost[0]], split, len(lost),
            )  # fmt: skip


def check_trained(labels: np.ndarray, classes: int, path: Path) -> None:
    """Raise FoxnasError unless there are images of every class to train with."""
    if lost := sorted(set(range(classes)) - set(labels)):
        raise FoxnasError(
            f"{path}: class {lost[0]} has no image to train with ({len(lost)} of {classes} have none); raise "
            "data.splits.train, or write data.stratified: true"
        )


def split_by_class(
    classes: Classes, sizes: Mapping[str, int], seed: int, kind: str = ""
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Deal rows out to disjoint named splits: of each class its share, rounded, and one row at least.

    The first rows of a split hold the classes in their shares, too, since calibration takes the first. Which rows of a
    class go where depends on the seed.

    Returns
    -------
    tuple
        Rows by split, and the rows left over. The sizes have to fit, which `splits.deal` checks.

    Raises
    ------
    FoxnasError
        A class has fewer images than there are splits, or a split fewer than there are classes.
    """
    counts = np.bincount(classes.labels, minlength=len(classes.names))
    way_out = "or write data.stratified: false"
    if counts.min() < len(sizes):
        name, asked = classes.names[int(counts.argmin())], " and ".join((", ".join(list(sizes)[:-1]), list(sizes)[-1]))
        raise FoxnasError(
            f"data.stratified: class {name} has {counts.min()} images{kind}, and one at least goes to each of {asked}; "
            f"add images of it, remove the class, {way_out}"
        )
    for name, size in sizes.items():
        if size < len(counts):
            raise FoxnasError(
                f"data.splits.{name} is {size}, but there are {len(counts)} classes, and data.stratified puts one "
                f"image at least of each into every split; raise it to {len(counts)} or more, {way_out}"
            )
    taken = _counts(counts, sizes)
    rng = np.random.default_rng(seed)
    own = [rng.permutation(np.flatnonzero(classes.labels == label)) for label in range(len(counts))]
    dealt = {}
    begin = np.zeros_like(counts)
    for name in sizes:
        end = begin + taken[name]
        dealt[name] = _interleaved([rows[b:e] for rows, b, e in zip(own, begin, end, strict=True)])
        begin = end
    return dealt, _interleaved([rows[b:] for rows, b in zip(own, begin, strict=True)])


def _counts(counts: np.ndarray, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return how many of each class every split takes: the largest remainders of the shares, smallest split first.

    Each step leaves one of every class for every split to come.
    """
    left, taken = counts.copy(), {}
    smallest_first = sorted(sizes, key=lambda name: sizes[name])
    for place, name in enumerate(smallest_first):
        most = left - (len(sizes) - 1 - place)
        share = left * sizes[name] / left.sum()
        given = np.clip(np.floor(share).astype(np.int64), 1, most)
        while (missing := sizes[name] - int(given.sum())) != 0:
            step = int(np.sign(missing))
            may = given < most if step > 0 else given > 1
            order = np.argsort(np.where(may, step * (given - share), np.inf), kind="stable")
            given[order[: min(abs(missing), int(may.sum()))]] += step
        taken[name], left = given, left - given
    return taken


def _interleaved(of_classes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rows of all classes, those of each spread evenly."""
    places = np.concatenate([(np.arange(len(rows)) + 0.5) / max(1, len(rows)) for rows in of_classes])
    return np.concatenate(of_classes)[np.argsort(places, kind="stable")]
