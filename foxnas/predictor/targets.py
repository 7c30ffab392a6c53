"""Measurements of any further target, from the device's own table or from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table
from foxnas.settings.encoding import quoted, shown
from foxnas.space.arch import Arch

#: The squares of larger numbers, and sums of these, are beyond what a float holds.
_LARGEST = 1e150

#: Characters of a file's own heading that a message repeats: it may be no table at all.
_LONGEST = 300


def read_target(path: Path, column: str, own: bool) -> tuple[list[str], list[float]]:
    """Return architecture texts and what was measured of each; rows that a device flagged are left out.

    Parameters
    ----------
    own
        Whether the user made the file: a plain CSV with columns `arch` and `column`, where lines with # are comments.

    Raises
    ------
    FoxnasError
        The file cannot be read or lacks a column, an entry of `column` is no number, or one of `arch` no architecture.
    """
    rows = _plain(path, column) if own else read_table(path, ["arch", column])
    if not own and "usable" in rows:
        rows = rows[rows["usable"]]
    numbers = pd.to_numeric(rows[column], errors="coerce")
    if (bad := ~(np.abs(numbers.to_numpy(float)) < _LARGEST)).any():
        row = int(bad.argmax())
        arch, value = shown(str(rows["arch"].iloc[row])), rows[column].tolist()[row]
        said = quoted(value) if isinstance(value, str) else repr(value)
        wrong = "too large to compute with" if np.isfinite(numbers.iloc[row]) else "no number"
        raise FoxnasError(
            f"{path}: row {row + 1} ({arch}) has {said} for {column}, which is {wrong}; measure it again or "
            "remove the row"
        )
    for number, text in enumerate(rows["arch"], 1):
        try:
            Arch.parse("" if pd.isna(text) else text)
        except FoxnasError as error:
            raise FoxnasError(f"{path}: row {number}: {error}; correct or remove the row") from error
    return [str(text) for text in rows["arch"]], numbers.astype(float).tolist()


def _plain(path: Path, column: str) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, comment="#", dtype={"arch": str})
    except (OSError, ValueError) as error:
        raise FoxnasError(f"{path}: cannot be read as CSV ({error})") from error
    for wanted in ("arch", column):
        if wanted not in rows:
            columns = [shown(str(name)) for name in rows.columns]
            raise FoxnasError(
                f"{path}: has no column {wanted!r} (it has {', '.join(columns)[:_LONGEST]}); add it, or correct "
                "predictors.further_targets"
            )
    return rows
