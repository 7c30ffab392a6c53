"""Calibration: how widely measurements scatter about predictions where a search goes.

A search climbs what a regression gets wrong, so errors of its proposals are not those of the sample, and intervals say
nothing of that. What earlier proposals measured says it. Their errors are taken as they were when the subnets were
proposed, before the measurements entered a fit. They count about nothing, not about their mean: a fit that has seen
them has taken their mean up itself, and a shift by it would be one too much (docs/evidence/search.md).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from foxnas.predictor.model import Prediction, Predictor
from foxnas.space.terms import FloatArray


@dataclass(frozen=True)
class Calibration:
    """What the standard deviation of a new measurement is multiplied by.

    Attributes
    ----------
    factor
        Root mean square of the errors, each over what was expected of it.
    rows
        How many; 0: nothing is known, and nothing is changed.
    """

    factor: float = 1.0
    rows: int = 0

    @classmethod
    def of(cls, measured: FloatArray, predicted: FloatArray, expected: FloatArray) -> Calibration:
        """Return that of proposals, of which `expected` is the standard deviation of a measurement by the predictor."""
        return cls(float(np.sqrt(np.mean(((measured - predicted) / expected) ** 2))), len(measured))

    def of_predictor(self, predictor: Predictor) -> Predictor:
        """Return the predictor with intervals of that width, by Student's t of the rows. Predictions are the same."""
        if not self.rows:
            return predictor
        assert predictor.uncertainty is not None
        uncertainty = replace(
            predictor.uncertainty,
            residual_standard_error=predictor.uncertainty.residual_standard_error * self.factor,
            degrees_of_freedom=float(self.rows),
            t_95=float(stats.t.ppf(0.975, self.rows)),
        )
        return replace(predictor, uncertainty=uncertainty)

    def expected(self, said: Prediction) -> FloatArray:
        """Return the standard deviation of a measurement that a predictor would expect had it not been calibrated."""
        return np.asarray(said.standard_error * np.sqrt(1 + 1 / said.leverage) / self.factor)

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self)
