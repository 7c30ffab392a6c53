"""Which knob matters: what a predictor says a knob is worth, with an interval that collinearity does not inflate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from foxnas.predictor.model import Predictor

#: Knobs of a unit, as `foxnas.search.strategies.guidance` names them.
KNOBS = {
    "D": "depth",
    "K_first": "K, first layer",
    "E_first": "E, first layer",
    "K_rest": "K, other layers",
    "E_rest": "E, other layers",
}


@dataclass(frozen=True)
class KnobEffect:
    """Change of the prediction when one knob goes from its smallest to its largest choice; in the target's unit."""

    knob: str
    unit: int
    value: float
    lower: float
    upper: float


def knob_effects(predictor: Predictor) -> list[KnobEffect]:
    """Return every knob's effect with its 95% interval; every other knob is averaged over its choices.

    Under a link that bends it is the average marginal effect: that on the sum, times the mean slope over the rows.

    An effect is a sum of coefficients, c'b, so its variance is c'Vc with the full covariance V: terms that
    trade against each other do so in b and in V alike. The layers after the first are set alike.
    """
    formula, uncertainty = predictor.formula, predictor.uncertainty
    assert uncertainty is not None
    knobs = formula.knobs
    layers = list(product(knobs.kernel_sizes, knobs.expansion_ratios))
    settings = list(product(knobs.depths, layers, layers))
    terms = formula.unit_matrix([(first, *(rest,) * (depth - 1)) for depth, first, rest in settings])
    levels = {
        "D": np.array([depth for depth, _, _ in settings]),
        "K_first": np.array([first[0] for _, first, _ in settings]),
        "E_first": np.array([first[1] for _, first, _ in settings]),
        "K_rest": np.array([rest[0] for _, _, rest in settings]),
        "E_rest": np.array([rest[1] for _, _, rest in settings]),
    }
    coefficients = formula.by_unit(predictor.coefficients)
    covariance = uncertainty.residual_standard_error**2 * np.asarray(uncertainty.unscaled_covariance)
    effects = []
    for knob, level in levels.items():
        if level.min() == level.max():
            continue
        contrast = terms[level == level.max()].mean(axis=0) - terms[level == level.min()].mean(axis=0)
        for unit in range(knobs.units):
            # Columns are grouped by term and run over the units; the intercept comes first.
            columns = 1 + np.arange(len(contrast)) * knobs.units + unit
            value = float(contrast @ coefficients[:, unit])
            variance = float(contrast @ covariance[np.ix_(columns, columns)] @ contrast)
            half = uncertainty.t_95 * np.sqrt(variance)
            value, half = value * predictor.mean_slope, half * predictor.mean_slope
            effects.append(KnobEffect(knob, unit + 1, value, value - half, value + half))
    return effects
