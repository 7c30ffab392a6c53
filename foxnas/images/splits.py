"""The four splits, fixed and disjoint.

*train* trains, and its first images recalibrate batch norms and calibrate int8; *fit* gives the accuracies
for the regression; *verify* compares candidates; *test* is opened for the final report, never for a choice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.images.strata import Classes, split_by_class

log = logging.getLogger(__name__)


_KINDS = {"train": " for training", "validation": " for validation", "test": " held out"}


def deal(
    parts: Mapping[str, int], sizes: Mapping[str, int], evaluate_on: str, seed: int, classes: Classes | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the rows of every split, and what is left of the parts they come from, in the seeded order.

    Parameters
    ----------
    parts
        Images of the published parts train, validation and test, in this order; those held out may be missing or
        empty. Rows count through all of them. Without test, that split comes from train.
    evaluate_on
        Where fit and verify come from: train, or held-out, which is validation or, without it, test.
    classes
        Of every image, where each split is to hold every class in its share; None: images are dealt out whatever
        their class.

    Returns
    -------
    tuple
        Rows by split, and rows left over, by split: the spares that an unreadable image of it may be replaced by.

    Raises
    ------
    FoxnasError
        A part has fewer images than its splits ask for, of a class too, or nothing is held out to evaluate on.
    """
    parts = {part: images for part, images in parts.items() if images or part == "train"}
    held_out = [part for part in parts if part != "train"]
    if evaluate_on == "held-out" and not held_out:
        raise FoxnasError(
            "data.evaluate_on is held-out, but the data set holds no images out; write train, or add a held-out part"
        )
    evaluated = "train" if evaluate_on == "train" else held_out[0]
    source = {"train": "train", "fit": evaluated, "verify": evaluated, "test": held_out[-1] if held_out else "train"}
    rows: dict[str, np.ndarray] = {}
    spare: dict[str, np.ndarray] = {}
    offset = 0
    for part, total in parts.items():
        asked = {name: n for name, n in sizes.items() if source[name] == part}
        if not asked:
            log.warning(
                "the %d %s images are used by no split; data.evaluate_on: held-out takes fit and verify from them",
                total,
                part,
            )
        kind = _KINDS[part] if held_out else ""
        dealt = split_rows(total, asked, seed, kind)
        left = np.random.default_rng(seed).permutation(total)[sum(asked.values()) :]
        if classes is not None and asked:
            dealt, left = split_by_class(classes.of(offset, total), asked, seed, kind)
        rows |= {name: offset + rows_of_it for name, rows_of_it in dealt.items()}
        spare |= dict.fromkeys(asked, offset + left)
        offset += total
    return {name: rows[name] for name in sizes}, spare


def part_of_row(parts: Mapping[str, int], row: int) -> str:
    """Return the part that a row which counts through all of them lies in."""
    return list(parts)[int(np.searchsorted(np.cumsum(list(parts.values())), row, side="right"))]


def replace_unreadable(
    rows: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray],
    unreadable: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Put the next spare row in the place of every row whose image cannot be read; all others stay where they are.

    With labels, it is the next one of the same class, as long as there is one.

    Parameters
    ----------
    unreadable
        Rows (n,) -> bool (n,).

    Returns
    -------
    tuple
        Rows by split, of the same lengths, and the unreadable rows that were met.

    Raises
    ------
    FoxnasError
        The spare images do not suffice.
    """
    taken, met = {}, []
    used: set[int] = set()
    for name, dealt in rows.items():
        chosen = dealt.copy()
        anything, alike = iter(spare[name]), dict[int, Iterator[int]]()
        places = np.arange(len(chosen))
        while len(places := places[unreadable(chosen[places])]):
            for place in places:
                met.append(int(chosen[place]))
                label = 0 if labels is None else int(labels[chosen[place]])
                if label not in alike:
                    alike[label] = iter(spare[name] if labels is None else spare[name][labels[spare[name]] == label])
                fresh = (int(row) for row in chain(alike[label], anything))
                if (replacement := next((row for row in fresh if row not in used), None)) is None:
                    raise FoxnasError(
                        f"{len(met)} images cannot be read, and none are left to take their places in {name}; "
                        f"lower data.splits.{name}"
                    )
                used.add(replacement)
                chosen[place] = replacement
        taken[name] = chosen
    return taken, met


def split_rows(total: int, sizes: Mapping[str, int], seed: int, kind: str = "") -> dict[str, np.ndarray]:
    """Deal `total` rows, of a `kind` that errors name, out to disjoint named splits, in a seeded random order.

    Raises FoxnasError when fewer rows exist than the splits ask for.
    """
    if sum(sizes.values()) > total:
        asked = " + ".join(f"{name} {n}" for name, n in sizes.items())
        raise FoxnasError(
            f"data.splits ask for {asked} = {sum(sizes.values())} images, the data set has {total}{kind}; lower one"
        )
    order = np.random.default_rng(seed).permutation(total)
    ends = np.cumsum(list(sizes.values()))
    return {name: order[end - n : end] for (name, n), end in zip(sizes.items(), ends, strict=True)}
