"""Predictions for the uniform sample, where another sample was measured."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from foxnas.predictor.model import Predictor
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray


def uniform_predictions(space: SearchSpace, predictors: Iterable[Predictor], rows: int, seed: int) -> FloatArray:
    """Return the predictions for the first `rows` subnets of the uniform sample of every predictor's image size."""
    found = []
    for predictor in predictors:
        sample = space.sample(predictor.image_size, np.random.default_rng([seed, predictor.image_size]))
        found.append(predictor.predict(list(islice(sample, rows))).mean)
    return np.concatenate(found)
