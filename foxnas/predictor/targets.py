"""Measurements of any further target, from the device's own table or from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table


def read_target(path: Path, column: str, own: bool) -> tuple[list[str], list[float]]:
    """Return architecture texts and what was measured of each; rows that a device flagged are left out.

    Parameters
    ----------
    own
        Whether the user made the file: a plain CSV with columns `arch` and `column`, where lines with # are comments.

    Raises
    ------
    FoxnasError
        The file cannot be read or lacks a column, or an entry of `column` is no number.
    """
    rows = _plain(path, column) if own else read_table(path, ["arch", column])
    if not own and "usable" in rows:
        rows = rows[rows["usable"]]
    numbers = pd.to_numeric(rows[column], errors="coerce")
    if (bad := numbers.isna()).any():
        row = int(bad.to_numpy().argmax())
        arch, value = rows["arch"].iloc[row], rows[column].iloc[row]
        raise FoxnasError(
            f"{path}: row {row + 1} ({arch}) has {value!r} for {column}, which is no number; measure it again or "
            "remove the row"
        )
    return [str(text) for text in rows["arch"]], numbers.astype(float).tolist()


def _plain(path: Path, column: str) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, comment="#", dtype={"arch": str})
    except (OSError, ValueError) as error:
        raise FoxnasError(f"{path}: cannot be read as CSV ({error})") from error
    for wanted in ("arch", column):
        if wanted not in rows:
            raise FoxnasError(
                f"{path}: has no column {wanted!r} (it has {', '.join(map(str, rows.columns))}); add it, or correct "
                "predictors.further_targets"
            )
    return rows
