"""What is refused of the rows of a fit, with the row or the term named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, Formula

#: Rows of an image size below which held-out errors say nothing of a penalty.
FEWEST_SHRUNK = 20
TOO_FEW_SHRUNK = f"are too few to choose a penalty by; measure at least {FEWEST_SHRUNK}"


def checked_rows(
    terms: Formula,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    target: str,
    fewest: int,
    too_few: str,
) -> FloatArray:
    """Return the measurements of one image size.

    Raises FoxnasError for rows that no fit can take, and for less than `fewest`, of which it says `too_few`.
    """
    what = f"{target} at {image_size} px"
    measured = np.asarray(y, dtype=float)
    if measured.shape != (len(archs),):
        raise FoxnasError(f"{what}: {len(archs)} subnets, but measurements of shape {measured.shape}")
    seen: dict[Arch, int] = {}
    for row, arch in enumerate(archs, 1):
        if arch.image_size != image_size:
            raise FoxnasError(f"{what}: row {row} ({arch.id}) is a subnet of {arch.image_size} px; remove it")
        try:
            space.validate(arch)
        except FoxnasError as error:
            raise FoxnasError(f"{what}: row {row} ({arch.id}) is not of this space: {error}") from error
        if arch in seen:
            raise FoxnasError(f"{what}: rows {seen[arch]} and {row} are the same subnet {arch.id}; remove one")
        seen[arch] = row
    if len(archs) < fewest:
        raise FoxnasError(f"{what}: {len(archs)} subnets {too_few}")
    if (bad := np.flatnonzero(~np.isfinite(measured))).size:
        raise FoxnasError(
            f"{what}: row {bad[0] + 1} ({archs[bad[0]].id}) has the measurement {measured[bad[0]]}; measure it again"
        )
    if np.ptp(measured) <= 1e-12 * np.abs(measured).max():
        raise FoxnasError(
            f"{what}: every subnet has the same measurement {measured[0]:g}; there is nothing to explain. If these are "
            "accuracies: is the supernet trained, and for these classes?"
        )
    return measured


def check_varied(terms: Formula, design: FloatArray, target: str) -> None:
    """Raise FoxnasError that names a term which is no number, or the same for every row."""
    for name, column in zip(terms.terms, design.T, strict=True):
        if not np.isfinite(column).all():
            raise FoxnasError(f"{target}: term {name} is not a number for every subnet")
        if np.ptp(column) == 0:
            raise FoxnasError(
                f"{target}: term {name} is {column[0]:g} for every subnet although its knob has several choices; "
                "sample subnets that differ in it"
            )


def check_determined(terms: Formula, centred: FloatArray, target: str) -> None:
    """Raise FoxnasError that names a term which others add up to, given the terms less their means."""
    # A pivoted QR puts a column that others add up to last, which names it.
    triangle, pivots = linalg.qr(centred / np.linalg.norm(centred, axis=0), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    if (dependent := np.flatnonzero(diagonal < 1e-10)).size:
        raise FoxnasError(
            f"{target}: term {terms.terms[pivots[dependent[0]]]} is a combination of other terms in these "
            f"{len(centred)} subnets, so its coefficient is not determined; measure more, or more varied, subnets"
        )
