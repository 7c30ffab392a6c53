"""Coefficients of a linear model, by ordinary least squares or drawn towards zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foxnas.predictor.link import IDENTITY, Link
from foxnas.predictor.penalty import Ridge
from foxnas.space.terms import FloatArray


@dataclass(frozen=True)
class Solution:
    """A fitted linear model; the intercept comes first.

    Attributes
    ----------
    unscaled_covariance
        (X'X)^-1, or (X'X + penalty)^-1: times the residual variance, the coefficients' (posterior) covariance.
    leverage
        Diagonal of the matrix that turns measured values into fitted ones.
    effective_parameters
        Its trace: the number of coefficients where nothing is shrunk.
    variance_inflation
        One per term: variance of its coefficient over that if all other terms were uncorrelated with it.
    """

    coefficients: FloatArray
    unscaled_covariance: FloatArray
    fitted: FloatArray
    leverage: FloatArray
    effective_parameters: float
    shrinkage: float
    variance_inflation: FloatArray


def least_squares(design: FloatArray, y: FloatArray) -> Solution:
    """Return the ordinary least-squares fit (statsmodels). `design` is without the column of ones."""
    import statsmodels.api as sm

    x = sm.add_constant(design, has_constant="add")
    result = sm.OLS(y, x).fit()
    correlation = np.corrcoef(design, rowvar=False).reshape(design.shape[1], -1)
    return Solution(
        np.asarray(result.params),
        np.asarray(result.normalized_cov_params),
        np.asarray(result.fittedvalues),
        np.asarray(result.get_influence().hat_matrix_diag),
        float(x.shape[1]),
        0.0,
        np.diag(np.linalg.inv(correlation)),
    )


def least_squares_coefficients(design: FloatArray, y: FloatArray) -> FloatArray:
    """Return the coefficients alone, of the smallest norm where several fit equally well."""
    return np.asarray(np.linalg.lstsq(np.column_stack([np.ones(len(y)), design]), y, rcond=None)[0])


def shrunk_coefficients(design: FloatArray, y: FloatArray) -> FloatArray:
    """Return the coefficients of `shrunk` alone; a term that never varies gets none."""
    varies = np.ptp(design, axis=0) > 0
    coefficients = np.zeros(design.shape[1] + 1)
    coefficients[np.r_[True, varies]] = shrunk(design[:, varies], y).coefficients
    return coefficients


def shrunk(design: FloatArray, y: FloatArray) -> Solution:
    """Return the ridge fit on standardised terms whose penalty has the smallest ten-fold error (`Ridge.best_penalty`).

    The intercept is not shrunk. Hoerl and Kennard, *Ridge regression*, Technometrics 12, 1970; the covariance is that
    of the normal posterior with the penalty as prior, which counts the pull towards zero as uncertainty.
    """
    rows, terms = design.shape
    centre, spread = design.mean(axis=0), design.std(axis=0)
    ridge, middle = Ridge.of((design - centre) / spread), y.mean()
    left, singular, right = ridge.left, ridge.singular, ridge.right
    along = left.T @ (y - middle)
    penalty = ridge.best_penalty(y)
    kept = ridge.kept(penalty)
    inverse = np.eye(terms) / penalty + (right.T * (1 / (singular**2 + penalty) - 1 / penalty)) @ right
    back, covariance = unstandardised(centre, spread, rows, inverse)
    return Solution(
        back @ np.r_[middle, right.T @ (singular / (singular**2 + penalty) * along)],
        covariance,
        middle + left @ (kept * along),
        ridge.leverage(penalty),
        1.0 + float(kept.sum()),
        penalty,
        rows * np.sum((right.T * (singular / (singular**2 + penalty))) ** 2, axis=1),
    )


def unstandardised(
    centre: FloatArray, spread: FloatArray, rows: int, inverse: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what turns coefficients of standardised terms into those of terms, and the unscaled covariance of these.

    The intercept comes first; that of standardised terms is the mean of what was measured. `inverse` is the unscaled
    covariance of the others: b = b_z / spread, intercept = mean of y - centre'b.
    """
    terms = len(centre)
    back = np.vstack([np.r_[1.0, -centre / spread], np.column_stack([np.zeros(terms), np.diag(1 / spread)])])
    covariance = np.zeros((terms + 1, terms + 1))
    covariance[0, 0], covariance[1:, 1:] = 1 / rows, inverse
    return back, back @ covariance @ back.T


def cross_validated(
    coefficients: Callable[[FloatArray, FloatArray], FloatArray],
    design: FloatArray,
    y: FloatArray,
    folds: int,
    rng: np.random.Generator,
    link_of: Callable[[FloatArray, FloatArray], Link] = lambda design, y: IDENTITY,
) -> FloatArray:
    """Return each row's prediction by the fit to the folds it is not in; penalty and link are chosen anew in each.

    The folds are a random partition into parts of equal size, give or take one.
    """
    order = rng.permutation(len(y))
    predicted = np.empty(len(y))
    for part in np.array_split(order, min(folds, len(y))):
        rest = np.setdiff1d(order, part)
        link = link_of(design[rest], y[rest])
        intercept, *slopes = coefficients(design[rest], link.forward(y[rest]))
        predicted[part] = link.inverse(intercept + design[part] @ slopes)
    return predicted
