"""The paper's CPU space and the authors' published predictors at 192 px, as examples/method.py reads them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from examples.method import published
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Layer
from foxnas.space.config import read_space

CPU_SPACE = read_space("cpu")
PUBLISHED_ACCURACY = dataclasses.replace(published("accuracy", CPU_SPACE), target="top-1")
PUBLISHED_LATENCY = published("latency", CPU_SPACE)


def unit_values(predictor: Predictor, units: Sequence[Sequence[Layer]]) -> np.ndarray:
    """Return what each given unit adds to a prediction at each place: (number given, units of the space)."""
    return predictor.formula.unit_matrix(units) @ predictor.formula.by_unit(predictor.coefficients)
