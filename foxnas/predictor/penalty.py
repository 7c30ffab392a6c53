"""Penalty of a shrunk fit, by the error on folds that did not take part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foxnas.space.terms import FloatArray

#: Penalties that a shrunk fit chooses from. Times the identity beside Z'Z, whose diagonal is the number of rows.
PENALTIES = np.geomspace(1e-3, 1e4, 22)

#: Folds whose error decides. Leave-one-out is of no use with about as many rows as terms: there it can like the
#: smallest penalties best (R² of new subnets down to -1.97 in 60 samples of 61 rows for 60 terms, with folds 0.55).
FOLDS = 10

#: Few rows are dealt to the folds several times, until so many predictions decide: with one deal of 61 rows the worst
#: sample of 60 had an R² of -0.55 for 65 terms, with four 0.47.
_PREDICTIONS = 240


@dataclass(frozen=True, eq=False)
class Ridge:
    """Ridge regression on standardised terms, for every penalty: one decomposition. The intercept is not shrunk.

    Attributes
    ----------
    left, singular, right
        Singular value decomposition of the standardised terms: (rows, r), (r,), (r, terms).
    """

    left: FloatArray
    singular: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, z: FloatArray) -> Ridge:
        """Return the regression on standardised terms: (rows, terms)."""
        return cls(*np.linalg.svd(z, full_matrices=False))

    def kept(self, penalty: float) -> FloatArray:
        """Return the share of each singular direction that a penalty leaves."""
        return np.asarray(self.singular**2 / (self.singular**2 + penalty))

    def leverage(self, penalty: float) -> FloatArray:
        """Return the diagonal of the matrix that turns measured values into fitted ones."""
        return np.asarray(1 / len(self.left) + self.left**2 @ self.kept(penalty))

    def missed(self, penalty: float, y: FloatArray) -> FloatArray:
        """Return by how much the fit without a row's fold misses it, for columns of `y`: (deals, rows, targets).

        It misses a fold by (I - H)^-1 e, with the fold's block H of the matrix that turns measured values into fitted
        ones, and its residuals e of the fit with all rows (Cook and Weisberg, *Residuals and Influence in Regression*,
        1982): no fold is fitted. Standardisation is that of all rows.
        """
        return self._missed([penalty], y)[0]

    def _missed(self, penalties: Sequence[float], y: FloatArray) -> FloatArray:
        """Return the same for several penalties, of which each fold is solved for at once: a tenth of the time."""
        rows, kept = len(y), np.stack([self.kept(penalty) for penalty in penalties])
        centred = y - y.mean(axis=0)
        residual = centred - self.left @ (kept[..., None] * (self.left.T @ centred))
        found = np.empty((len(penalties), -(-_PREDICTIONS // rows), *y.shape))
        for seed in range(found.shape[1]):
            for part in np.array_split(np.random.default_rng(seed).permutation(rows), min(FOLDS, rows)):
                left = self.left[part]
                block = 1 / rows + (left * kept[:, None]) @ left.T
                found[:, seed, part] = np.linalg.solve(np.eye(len(part)) - block, residual[:, part])
        return found

    def best_penalty(self, y: FloatArray) -> float:
        """Return the penalty with the smallest error on the folds, of a target (rows,)."""
        # With as many terms as rows a penalty near nothing leaves leverages near 1, and errors without digits.
        possible = [p for p in PENALTIES if self.leverage(p).max() < 1 - 1e-9]
        errors = (self._missed(possible, y[:, None]) ** 2).sum(axis=(1, 2, 3))
        return float(possible[int(errors.argmin())])
