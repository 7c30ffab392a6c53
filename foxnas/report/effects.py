"""Which knob matters: what a predictor says a knob is worth, with an interval that collinearity does not inflate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from foxnas.predictor.model import Predictor
from foxnas.space.layers import UnitChoices
from foxnas.space.terms import FloatArray, Formula

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
    contrasts = {choices: _contrasts(formula, choices) for choices in formula.knobs.choices}
    # Columns are grouped by term and run over the units that have it; the intercept comes first.
    columns = np.cumsum(formula.exist).reshape(formula.exist.shape)
    coefficients = np.asarray(predictor.coefficients)
    covariance = uncertainty.residual_standard_error**2 * np.asarray(uncertainty.unscaled_covariance)
    effects = []
    for knob in KNOBS:
        for unit, choices in enumerate(formula.knobs.choices):
            if knob not in contrasts[choices]:
                continue
            has = formula.exist[:, unit]
            contrast, own = contrasts[choices][knob][has], columns[has, unit]
            value = float(contrast @ coefficients[own - 1])
            variance = float(contrast @ covariance[np.ix_(own, own)] @ contrast)
            half = uncertainty.t_95 * np.sqrt(variance)
            value, half = value * predictor.mean_slope, half * predictor.mean_slope
            effects.append(KnobEffect(knob, unit + 1, value, value - half, value + half))
    return effects


def _contrasts(formula: Formula, choices: UnitChoices) -> dict[str, FloatArray]:
    """Return what each knob of a unit changes in its terms, those with several choices."""
    layers = choices.layers()
    settings = list(product(choices.depths, layers, layers))
    terms = formula.unit_matrix([(first, *(rest,) * (depth - 1)) for depth, first, rest in settings])
    depth, first, rest = (np.array(part) for part in zip(*settings, strict=True))
    some, later = np.ones(len(settings), dtype=bool), depth > 1
    found = {}
    for knob, level, has in (
        ("D", depth, some),
        ("K_first", first[:, 0], some),
        ("E_first", first[:, 1], some),
        ("K_rest", rest[:, 0], later),
        ("E_rest", rest[:, 1], later),
    ):
        if has.any() and level.min() < level.max():
            ends = (terms[has & (level == end)].mean(axis=0) for end in (level.max(), level.min()))
            found[knob] = np.subtract(*ends)
    return found
