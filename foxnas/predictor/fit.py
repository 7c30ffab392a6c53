"""Fit a predictor by least squares, with the statistics of equations 3-8 and what a statistician asks next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, stats
from statsmodels.stats.diagnostic import het_breuschpagan

from foxnas.errors import FoxnasError
from foxnas.predictor.asymptote import log_complement
from foxnas.predictor.link import IDENTITY, Link, LinkName
from foxnas.predictor.model import Coefficients, Numbers, Predictor, Quality, Rows, Uncertainty
from foxnas.predictor.solution import (
    Solution,
    cross_validated,
    least_squares,
    least_squares_coefficients,
    shrunk,
    shrunk_coefficients,
)
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, Formula
from foxnas.space.terms import formula as formula_of

#: Rows below which leave-one-out says nothing of a penalty.
_FEWEST_SHRUNK = 20


def fit(
    formula: str,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    *,
    target: str,
    unit: str,
    shrink: bool = False,
    link: LinkName = "identity",
    folds: int = 10,
    seed: int = 0,
) -> Predictor:
    """Fit `formula` (a name in `foxnas.space.terms.FORMULAS`) to the measured subnets of one image size.

    Parameters
    ----------
    archs, y
        The subnets and what was measured of them, in `unit` (top-1: percent; latency: milliseconds).
    target
        What was measured; appears in messages and in the report.
    shrink
        Draw the coefficients towards zero (`foxnas.predictor.solution.shrunk`) instead of ordinary least squares.
    link
        The scale of the sum; "log-complement" is fitted with the asymptote of `foxnas.predictor.asymptote`, which
        counts as one more parameter.
    folds, seed
        Of the cross-validated figures.

    Raises
    ------
    FoxnasError
        Fewer rows than terms + 2 (+ 3 with an asymptote; for a shrunk fit: than 20), rows of another size or outside
        the space, duplicate subnets, a measurement that is not a number or never differs, a term that is constant or
        (unless shrunk) a combination of others; the row or term is named.
    """
    terms = formula_of(formula, space)
    measured = checked_rows(terms, space, image_size, archs, y, target, *_fewest(terms, shrink, link))
    design = terms.matrix(archs)
    _check_columns(terms, design, target, shrink)

    def link_of(some_design: FloatArray, some_y: FloatArray) -> Link:
        return IDENTITY if link == "identity" else log_complement(some_design, some_y, shrink)

    return described(
        terms, image_size, [a.id for a in archs], design, measured, target, unit, shrunk if shrink else least_squares,
        shrunk_coefficients if shrink else least_squares_coefficients, link_of, folds, seed,
    )  # fmt: skip


def described(
    terms: Formula,
    image_size: int,
    ids: Sequence[str],
    design: FloatArray,
    y: FloatArray,
    target: str,
    unit: str,
    solve: Callable[[FloatArray, FloatArray], Solution],
    coefficients: Callable[[FloatArray, FloatArray], FloatArray],
    link_of: Callable[[FloatArray, FloatArray], Link],
    folds: int,
    seed: int,
) -> Predictor:
    """Return the predictor that `solve` makes of checked rows, with everything that is to be known of it.

    `solve` and `coefficients` take terms and sums, `link_of` terms and measurements: of all rows, or of those of a
    fold's fit. Raises FoxnasError when one row alone decides a coefficient.
    """
    rows, link = len(y), link_of(design, y)
    sums = link.forward(y)
    solution = solve(design, sums)
    # What theory says of residuals is of those of the sums; errors of predictions are in the target's unit.
    leverage, residual = solution.leverage, sums - solution.fitted
    if (alone := np.flatnonzero(leverage > 1 - 1e-9)).size:
        raise FoxnasError(
            f"{target} at {image_size} px: row {ids[alone[0]]} alone decides a coefficient (leverage 1); "
            "measure more subnets"
        )
    parameters = solution.effective_parameters + (link != IDENTITY)
    freedom = rows - parameters
    scale = float(np.sqrt(np.sum(residual**2) / freedom))
    error = scale * np.sqrt(np.diag(solution.unscaled_covariance))
    t = solution.coefficients / error
    p = 2 * stats.t.sf(np.abs(t), freedom)
    held_out = cross_validated(coefficients, design, y, folds, np.random.default_rng(seed), link_of)
    missed, fitted = y - held_out, link.inverse(solution.fitted)
    squares = float(np.sum((y - fitted) ** 2))
    left_out = y - link.inverse(sums - residual / (1 - leverage))
    total = float(np.sum((y - y.mean()) ** 2))
    spread = design.std(axis=0, ddof=1)
    x, varies = np.column_stack([np.ones(rows), design]), spread > 0
    standardised = ((design - design.mean(axis=0)) / np.where(varies, spread, 1))[:, varies]
    internal = residual / (scale * np.sqrt(1 - leverage))
    quality = Quality(
        rows=rows,
        shrinkage=solution.shrinkage,
        effective_parameters=parameters,
        r2=1 - squares / total,
        adjusted_r2=1 - (squares / freedom) / (total / (rows - 1)),
        r2_press=1 - float(np.sum(left_out**2)) / total,
        r2_cv=1 - float(np.sum(missed**2)) / total,
        rmse=float(np.sqrt(squares / rows)),
        rmse_cv=float(np.sqrt(np.mean(missed**2))),
        mae=float(np.mean(np.abs(y - fitted))),
        mae_cv=float(np.mean(np.abs(missed))),
        tau=_tau(fitted, y),
        tau_cv=_tau(held_out, y),
        condition_number=float(np.linalg.cond(x[:, np.r_[True, varies]])),
        condition_number_standardised=float(np.linalg.cond(standardised)),
        breusch_pagan_p=float(het_breuschpagan(residual, x)[1]) if rows > x.shape[1] else 1.0,
        shapiro_p=float(stats.shapiro(residual).pvalue),
        intercept_standard_error=float(error[0]),
        intercept_t=float(t[0]),
        intercept_p=float(p[0]),
        largest_leverage=float(leverage.max()),
        folds=min(folds, rows),
        seed=seed,
    )
    return Predictor(
        target=target,
        unit=unit,
        image_size=image_size,
        formula=terms,
        intercept=float(solution.coefficients[0]),
        coefficients=_numbers(solution.coefficients[1:]),
        link=link,
        uncertainty=Uncertainty(
            residual_standard_error=scale,
            degrees_of_freedom=freedom,
            t_95=float(stats.t.ppf(0.975, freedom)),
            unscaled_covariance=tuple(map(_numbers, solution.unscaled_covariance)),
        ),
        statistics=Coefficients(
            standard_error=_numbers(error[1:]),
            t=_numbers(t[1:]),
            p=_numbers(p[1:]),
            variance_inflation=_numbers(solution.variance_inflation),
            standard_deviation=_numbers(spread),
        ),
        quality=quality,
        rows=Rows(
            id=tuple(ids),
            measured=_numbers(y),
            fitted=_numbers(fitted),
            residual=_numbers(y - fitted),
            leverage=_numbers(leverage),
            # With one degree of freedom the leave-one-out scale is 0; a large number says so, and is one.
            studentised=_numbers(internal * np.sqrt((freedom - 1) / np.maximum(freedom - internal**2, 1e-9))),
            cooks_distance=_numbers(internal**2 * leverage / ((1 - leverage) * parameters)),
            held_out=_numbers(held_out),
        ),
    )


def _fewest(terms: Formula, shrink: bool, link: LinkName) -> tuple[int, str]:
    """Return how many rows a fit needs, and what to say where there are fewer."""
    if shrink:
        said = f"are too few to choose a penalty by; measure at least {_FEWEST_SHRUNK}"
        return _FEWEST_SHRUNK, said
    fewest = len(terms.terms) + (2 if link == "identity" else 3)
    return fewest, (
        f"are too few for formula {terms.name!r}, which has {len(terms.terms)} terms; measure at least {fewest} (300 "
        "are usual)"
    )


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
    """Return the measurements. Raises FoxnasError for rows that no fit can take; see `fit`."""
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


def _check_columns(terms: Formula, design: FloatArray, target: str, shrink: bool) -> None:
    for name, column in zip(terms.terms, design.T, strict=True):
        if not np.isfinite(column).all():
            raise FoxnasError(f"{target}: term {name} is not a number for every subnet")
        if np.ptp(column) == 0:
            raise FoxnasError(
                f"{target}: term {name} is {column[0]:g} for every subnet although its knob has several choices; "
                "sample subnets that differ in it"
            )
    if shrink:
        return
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
