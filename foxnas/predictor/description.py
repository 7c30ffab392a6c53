"""What is said of a fit: the statistics of equations 3-8, and what a statistician asks next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.diagnostic import het_breuschpagan

from foxnas.errors import FoxnasError
from foxnas.predictor.link import Link
from foxnas.predictor.model import Coefficients, Numbers, Pooling, Predictor, Quality, Rows, Uncertainty
from foxnas.predictor.solution import Solution
from foxnas.space.terms import FloatArray, Formula


def described(
    terms: Formula,
    image_size: int,
    ids: Sequence[str],
    design: FloatArray,
    y: FloatArray,
    *,
    target: str,
    unit: str,
    link: Link,
    solution: Solution,
    link_parameters: float,
    held_out: FloatArray,
    folds: int,
    seed: int,
    pooling: Pooling | None = None,
) -> Predictor:
    """Return the predictor that a solution for the link's sums is, with all its statistics.

    Parameters
    ----------
    link_parameters
        What the asymptote counts for among the parameters.
    held_out
        Each row's prediction by the fit to the folds it is not in.

    Raises FoxnasError for a row that alone decides a coefficient, and where nothing is left to judge errors by.
    """
    rows, sums = len(y), link.forward(y)
    # What theory says of residuals is of those of the sums; errors of predictions are in the target's unit.
    leverage, residual = solution.leverage, sums - solution.fitted
    if (alone := np.flatnonzero(leverage > 1 - 1e-9)).size:
        raise FoxnasError(
            f"{target} at {image_size} px: row {ids[alone[0]]} alone decides a coefficient (leverage 1); "
            "measure more subnets"
        )
    parameters = solution.effective_parameters + link_parameters
    freedom = rows - parameters
    if freedom < 1:
        raise FoxnasError(
            f"{target} at {image_size} px: {rows} subnets are too few for the {parameters:.1f} parameters of this fit, "
            "whose errors they cannot tell; measure more, or choose a form with fewer terms"
        )
    scale = float(np.sqrt(np.sum(residual**2) / freedom))
    error = scale * np.sqrt(np.diag(solution.unscaled_covariance))
    t = solution.coefficients / error
    p = 2 * stats.t.sf(np.abs(t), freedom)
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
        folds=folds,
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
        pooling=pooling,
    )


def _tau(predicted: ArrayLike, measured: ArrayLike) -> float:
    return float(stats.kendalltau(predicted, measured).statistic)


def _numbers(values: ArrayLike) -> Numbers:
    return tuple(float(v) for v in np.asarray(values))
