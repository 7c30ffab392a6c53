"""The predicted difference between two subnets, with the uncertainty of that difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from foxnas.errors import FoxnasError
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch


@dataclass(frozen=True)
class Contrast:
    """What changing one subnet into another is predicted to do, in the target's unit.

    Attributes
    ----------
    value
        Prediction of the changed subnet minus that of the base.
    lower, upper
        95% confidence interval of the expected difference.
    standard_error
        Of `value`.
    p
        Two-sided p-value of "the difference is zero" (equation 5, of a sum of terms rather than of one).
    """

    value: float
    lower: float
    upper: float
    standard_error: float
    p: float


def contrast(of_base: Predictor, base: Arch, of_changed: Predictor, changed: Arch) -> Contrast:
    """Return the contrast of two subnets: all terms that differ, with their covariance.

    Within one image size both predictions share a fit, so what the subnets have in common cancels: the
    variance is c' Cov(b) c for the difference c of their terms, which is far smaller than the variance of
    either prediction. Under a link that bends, each subnet's terms count by the slope at its prediction (delta
    method). Two image sizes have two fits to different subnets; their variances add, and the
    degrees of freedom are Welch and Satterthwaite's. (That both fits saw the same images is not counted:
    the interval is a little too wide.) Of sizes that were fitted together both errors may come from the same rows, in
    whichever direction: the standard errors add, which is the largest that the difference's may be.

    Raises FoxnasError for predictors without their covariance (published coefficients).
    """
    for predictor in (of_base, of_changed):
        if predictor.uncertainty is None:
            raise FoxnasError(f"the predictor of {predictor.target} has no covariance: a contrast needs a fitted one")
    if of_base is of_changed:
        assert of_base.uncertainty is not None
        terms = np.column_stack([np.ones(2), of_base.formula.matrix([base, changed])])
        means = of_base.predict([base, changed]).mean
        value = float(of_base.link.change(means[0], (terms[1] - terms[0])[1:] @ np.asarray(of_base.coefficients)))
        base_slope, changed_slope = of_base.link.slope(means)
        difference = changed_slope * terms[1] - base_slope * terms[0]
        covariance = np.asarray(of_base.uncertainty.unscaled_covariance)
        error = of_base.uncertainty.residual_standard_error * math.sqrt(max(difference @ covariance @ difference, 0.0))
        freedom = float(of_base.uncertainty.degrees_of_freedom)
    else:
        assert of_base.uncertainty is not None
        assert of_changed.uncertainty is not None
        one, other = of_base.predict([base]), of_changed.predict([changed])
        value = float(other.mean[0] - one.mean[0])
        variances = [float(prediction.standard_error[0]) ** 2 for prediction in (one, other)]
        freedoms = [p.uncertainty.degrees_of_freedom for p in (of_base, of_changed) if p.uncertainty]
        if of_base.pooling and of_changed.pooling:
            error, freedom = sum(map(math.sqrt, variances)), float(min(freedoms))
        else:
            error = math.sqrt(sum(variances))
            spread = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
            freedom = sum(variances) ** 2 / spread if spread else float(min(freedoms))
    half = float(special.stdtrit(freedom, 0.975)) * error
    p = float(2 * special.stdtr(freedom, -abs(value) / error)) if error else float(value == 0)
    return Contrast(value, value - half, value + half, error, p)
