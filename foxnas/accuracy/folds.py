"""Accuracy over folds: what several supernets say of one subnet, each on images of its own, is one outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.accuracy.outcomes import COLUMNS, Outcome, read_outcomes
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a subnet on the images of all folds.

    Parts of the images for the reliability are those of the folds, joined: no image is in two of them. Raises
    FoxnasError where the folds are not equally large.
    """
    images = {one.images for one in outcomes}
    if len(images) > 1:
        raise FoxnasError(f"folds of {min(images)} and {max(images)} images; delete results of folds and run again")
    right = np.concatenate([np.unpackbits(one.correct)[: one.images] for one in outcomes])
    return Outcome(
        top1_percent=float(100 * right.mean()),
        correct_probability_percent=float(np.mean([one.correct_probability_percent for one in outcomes])),
        images=len(right),
        seconds=round(sum(one.seconds for one in outcomes), 4),
        device="; ".join(dict.fromkeys(one.device for one in outcomes)),
        precision="; ".join(dict.fromkeys(one.precision for one in outcomes)),
        correct=np.packbits(right),
        probability_folds=np.asarray(
            np.mean([one.probability_folds for one in outcomes], axis=0, dtype=np.float64), np.float32
        ),
    )


def read_fold(table: Path, part: Path) -> dict[str, tuple[str, Outcome]]:
    """Return architecture and outcome of every subnet of a fold, by its id, from its table and its file of outcomes."""
    rows = read_table(table, COLUMNS)
    names = list(rows["id"])
    if not names:
        return {}
    seen = read_outcomes([part], names)
    found: dict[str, tuple[str, Outcome]] = {}
    for row, right, probability in zip(rows.to_dict("records"), seen["top1"], seen["probability"], strict=True):
        fields: dict[str, Any] = {str(name): value for name, value in row.items() if name not in ("id", "arch")}
        found[row["id"]] = (
            str(row["arch"]),
            Outcome(**fields, correct=np.packbits(right), probability_folds=probability),
        )
    return found
