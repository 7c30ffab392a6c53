"""Fit a predictor by ordinary least squares, with the statistics of equations 3-8 and what a statistician asks next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import statsmodels.api as sm
from numpy.typing import ArrayLike
from scipy import linalg, stats
from statsmodels.stats.diagnostic import het_breuschpagan

from foxnas.errors import FoxnasError
from foxnas.features import FloatArray, Formula
from foxnas.features import formula as formula_of
from foxnas.predictor.model import Coefficients, Numbers, Predictor, Quality, Rows, Uncertainty
from foxnas.space import Arch, SearchSpace


def fit(
    formula: str,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    *,
    target: str,
    unit: str,
    folds: int = 10,
    seed: int = 0,
) -> Predictor:
    """Fit `formula` (a name in `foxnas.features.FORMULAS`) to the measured subnets of one image size.

    Parameters
    ----------
    archs, y
        The subnets and what was measured of them, in `unit` (top-1: percent; latency: milliseconds).
    target
        What was measured; appears in messages and in the report.
    folds, seed
        Of the cross-validated figures.

    Raises
    ------
    FoxnasError
        Fewer rows than terms + 2, rows of another size or outside the space, duplicate subnets, a measurement that is
        not a number or never differs, a term that is constant or a combination of others; row or term named.
    """
    terms = formula_of(formula, space)
    measured = _checked_rows(terms, space, image_size, archs, y, target)
    design = terms.matrix(archs)
    _check_columns(terms, design, target)
    return _fit(terms, image_size, [a.id for a in archs], design, measured, target, unit, folds, seed)


def _fit(
    terms: Formula,
    image_size: int,
    ids: Sequence[str],
    design: FloatArray,
    y: FloatArray,
    target: str,
    unit: str,
    folds: int,
    seed: int,
) -> Predictor:
    x = sm.add_constant(design, has_constant="add")
    result = sm.OLS(y, x).fit()
    rows, parameters = x.shape
    influence = result.get_influence()
    leverage = np.asarray(influence.hat_matrix_diag)
    if (alone := np.flatnonzero(leverage > 1 - 1e-9)).size:
        raise FoxnasError(
            f"{target} at {image_size} px: row {ids[alone[0]]} alone decides a coefficient (leverage 1); "
            "measure more subnets"
        )
    internal = np.asarray(influence.resid_studentized_internal)
    held_out = cross_validated(x, y, folds, np.random.default_rng(seed))
    total = float(np.sum((y - y.mean()) ** 2))
    press = float(np.sum((result.resid / (1 - leverage)) ** 2))
    spread = design.std(axis=0, ddof=1)
    correlation = np.corrcoef(design, rowvar=False).reshape(design.shape[1], -1)
    quality = Quality(
        rows=rows,
        r2=float(result.rsquared),
        adjusted_r2=float(result.rsquared_adj),
        r2_press=1 - press / total,
        r2_cv=1 - float(np.sum((y - held_out) ** 2)) / total,
        rmse_cv=float(np.sqrt(np.mean((y - held_out) ** 2))),
        tau=_tau(result.fittedvalues, y),
        tau_cv=_tau(held_out, y),
        condition_number=float(np.linalg.cond(x)),
        condition_number_standardised=float(np.linalg.cond((design - design.mean(axis=0)) / spread)),
        breusch_pagan_p=float(het_breuschpagan(result.resid, x)[1]),
        shapiro_p=float(stats.shapiro(result.resid).pvalue),
        intercept_standard_error=float(result.bse[0]),
        intercept_t=float(result.tvalues[0]),
        intercept_p=float(result.pvalues[0]),
        largest_leverage=float(leverage.max()),
        folds=min(folds, rows),
        seed=seed,
    )
    return Predictor(
        target=target,
        unit=unit,
        image_size=image_size,
        formula=terms,
        intercept=float(result.params[0]),
        coefficients=_numbers(result.params[1:]),
        uncertainty=Uncertainty(
            residual_standard_error=float(np.sqrt(result.mse_resid)),
            degrees_of_freedom=rows - parameters,
            t_95=float(stats.t.ppf(0.975, rows - parameters)),
            unscaled_covariance=tuple(map(_numbers, result.normalized_cov_params)),
        ),
        statistics=Coefficients(
            standard_error=_numbers(result.bse[1:]),
            t=_numbers(result.tvalues[1:]),
            p=_numbers(result.pvalues[1:]),
            variance_inflation=_numbers(np.diag(np.linalg.inv(correlation))),
            standard_deviation=_numbers(spread),
        ),
        quality=quality,
        rows=Rows(
            id=tuple(ids),
            measured=_numbers(y),
            fitted=_numbers(result.fittedvalues),
            residual=_numbers(result.resid),
            leverage=_numbers(leverage),
            # Closed form of the leave-one-out scale: statsmodels' own property refits once a row.
            studentised=_numbers(internal * np.sqrt((rows - parameters - 1) / (rows - parameters - internal**2))),
            cooks_distance=_numbers(influence.cooks_distance[0]),
            held_out=_numbers(held_out),
        ),
    )


def cross_validated(x: FloatArray, y: FloatArray, folds: int, rng: np.random.Generator) -> FloatArray:
    """Return each row's prediction by the least-squares fit to the folds it is not in.

    `x` includes the column of ones. The folds are a random partition into parts of equal size, give or take one.
    """
    order = rng.permutation(len(y))
    predicted = np.empty(len(y))
    for part in np.array_split(order, min(folds, len(y))):
        rest = np.setdiff1d(order, part)
        predicted[part] = x[part] @ np.linalg.lstsq(x[rest], y[rest], rcond=None)[0]
    return predicted


def _checked_rows(
    terms: Formula, space: SearchSpace, image_size: int, archs: Sequence[Arch], y: ArrayLike, target: str
) -> FloatArray:
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
    if len(archs) < len(terms.terms) + 2:
        raise FoxnasError(
            f"{what}: {len(archs)} subnets are too few for formula {terms.name!r}, which has {len(terms.terms)} terms; "
            f"measure at least {len(terms.terms) + 2} (300 are usual)"
        )
    if (bad := np.flatnonzero(~np.isfinite(measured))).size:
        raise FoxnasError(
            f"{what}: row {bad[0] + 1} ({archs[bad[0]].id}) has the measurement {measured[bad[0]]}; measure it again"
        )
    if np.ptp(measured) <= 1e-12 * np.abs(measured).max():
        raise FoxnasError(f"{what}: every subnet has the same measurement {measured[0]:g}; there is nothing to explain")
    return measured


def _check_columns(terms: Formula, design: FloatArray, target: str) -> None:
    for name, column in zip(terms.terms, design.T, strict=True):
        if not np.isfinite(column).all():
            raise FoxnasError(f"{target}: term {name} is not a number for every subnet")
        if np.ptp(column) == 0:
            raise FoxnasError(
                f"{target}: term {name} is {column[0]:g} for every subnet although its knob has several choices; "
                "sample subnets that differ in it"
            )
    # A pivoted QR puts a column that others add up to last, which names it.
    centred = design - design.mean(axis=0)
    triangle, pivots = linalg.qr(centred / np.linalg.norm(centred, axis=0), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    if (dependent := np.flatnonzero(diagonal < 1e-10)).size:
        raise FoxnasError(
            f"{target}: term {terms.terms[pivots[dependent[0]]]} is a combination of other terms in these "
            f"{len(design)} subnets, so its coefficient is not determined; measure more, or more varied, subnets"
        )


def _tau(predicted: ArrayLike, measured: ArrayLike) -> float:
    return float(stats.kendalltau(predicted, measured).statistic)


def _numbers(values: ArrayLike) -> Numbers:
    return tuple(float(v) for v in np.asarray(values))
