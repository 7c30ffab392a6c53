"""Where an accuracy saturates, by the error on rows that did not take part in the fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from foxnas.predictor.link import Link
from foxnas.predictor.penalty import Ridge
from foxnas.space.terms import FloatArray

#: Asymptotes that a fit chooses from: above the largest measurement, in ranges of what was measured. With the last one
#: the slope changes by a hundredth over the range, so that what does not saturate is fitted as by the identity.
_ABOVE = np.geomspace(0.02, 100, 40)

#: Grids, each as fine as the first and between the neighbours of the best of the one before.
_GRIDS = 2


def log_complement(design: FloatArray, y: FloatArray, shrink: bool) -> Link:
    """Return the link -log(c - y) whose c has the smallest held-out error on these rows, in the unit of y."""
    misses = _misses(design, y, shrink)

    def errors(asymptotes: FloatArray) -> FloatArray:
        sums = -np.log(asymptotes - y[:, None])
        with np.errstate(over="ignore"):
            missed = y[:, None] - (asymptotes - np.exp(misses(sums) - sums))
        return np.asarray((missed**2).sum(axis=(0, 1)))

    return with_smallest_error(y, errors)


def with_smallest_error(y: FloatArray, errors: Callable[[FloatArray], ArrayLike]) -> Link:
    """Return the link -log(c - y) that has the smallest of these errors, given values of c above all of y."""
    above, reach = _ABOVE, float(np.ptp(y)) or 1.0
    for _ in range(_GRIDS):
        asymptotes = y.max() + reach * above
        at = int(np.argmin(errors(asymptotes)))
        above = np.geomspace(above[max(at - 1, 0)], above[min(at + 1, len(above) - 1)], len(above))
    return Link(float(asymptotes[at]))


def _misses(design: FloatArray, y: FloatArray, shrink: bool) -> Callable[[FloatArray], FloatArray]:
    """Return what says by how much fits without a row miss it, for columns of sums: (deals, rows, columns).

    They are the leave-one-out fits; of a shrunk one, those without the row's fold, with the penalty that is the best
    for the values themselves: it does not depend on their scale, and hardly on a bend.
    """
    if shrink:
        varying = design[:, np.ptp(design, axis=0) > 0]
        ridge = Ridge.of((varying - varying.mean(axis=0)) / varying.std(axis=0))
        penalty = ridge.best_penalty(y)
        return lambda sums: ridge.missed(penalty, sums)
    left, singular, _ = np.linalg.svd(np.column_stack([np.ones(len(y)), design]), full_matrices=False)
    left = left[:, singular > singular[0] * len(y) * np.finfo(float).eps]
    # A row that alone decides a coefficient has leverage 1, and no fit without it.
    rest = np.maximum(1 - (left**2).sum(axis=1), 1e-9)
    return lambda sums: ((sums - left @ (left.T @ sums)) / rest[:, None])[None]
