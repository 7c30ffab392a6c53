"""Other people's predictors, to be held against ours on the same measurements.

Every one is a function from measured subnets to a function that predicts. Ours are the regressions of
`foxnas.predictor.forms`, here without their statistics, so that times compare like with like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from torch import nn

from comparisons.predictors.encodings import entries, knob_values, one_hot
from foxnas.predictor.forms import FORMS, formula_name, is_shrunk
from foxnas.predictor.solution import least_squares_coefficients, shrunk_coefficients
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, formula

#: Width and number of the hidden layers of Once-for-All's predictor (`AccuracyPredictor` of PyPI's `ofa`).
HIDDEN, HIDDEN_LAYERS = 400, 3
#: Batch of its data loader; Adam's own learning rate, which its authors' course (MIT 6.5940, lab 3) trains it with.
BATCH, LEARNING_RATE = 256, 1e-3

Model = Callable[[Sequence[Arch]], FloatArray]


@dataclass(frozen=True, eq=False)
class Measured:
    """Subnets and what was measured of them, in one unit."""

    archs: tuple[Arch, ...]
    values: FloatArray

    def take(self, rows: Sequence[int]) -> Measured:
        """Return some of the rows."""
        return Measured(tuple(self.archs[i] for i in rows), self.values[list(rows)])


@dataclass(frozen=True)
class Contender:
    """One way to predict.

    Attributes
    ----------
    fit
        (space, rows, seed) to a model.
    fewest
        Rows below which it does not determine its coefficients; 0 if it always has an answer.
    pooled
        Whether one model serves all image sizes and learns from all of them, or each size has its own.
    """

    name: str
    fit: Callable[[SearchSpace, Measured, int], Model]
    fewest: int = 0
    pooled: bool = False


def contenders(base: str, space: SearchSpace, steps: int) -> tuple[Contender, ...]:
    """Return all that are compared for a target: our forms first.

    Parameters
    ----------
    base
        "accuracy" or "latency": whose products the paper's terms have.
    steps
        Of the neural network's training; its authors take 1,560 (10 epochs of 40,000 subnets), for 40,000 subnets.
    """
    ours = [_regression(base, form, space) for form in FORMS]
    return (
        *ours,
        Contender("one-hot ridge", _one_hot_ridge),
        Contender("lookup table", _lookup_table),
        Contender("boosted trees", _boosted_trees),
        Contender("neural network", lambda space, rows, seed: _neural_network(space, rows, seed, steps), pooled=True),
    )


def _regression(base: str, form: str, space: SearchSpace) -> Contender:
    terms = formula(formula_name(base, form), space)
    solve = shrunk_coefficients if is_shrunk(form) else least_squares_coefficients

    def fit(_space: SearchSpace, rows: Measured, _seed: int) -> Model:
        intercept, *slopes = solve(terms.matrix(rows.archs), rows.values)
        return lambda archs: intercept + terms.matrix(archs) @ slopes

    return Contender(form, fit, fewest=0 if is_shrunk(form) else len(terms.terms) + 2)


def _one_hot_ridge(space: SearchSpace, rows: Measured, _seed: int) -> Model:
    """Every layer's K and E at its own position, shrunk; the penalty has the smallest leave-one-out error."""
    model = RidgeCV(np.geomspace(1e-2, 1e3, 26)).fit(one_hot(space, rows.archs), rows.values)
    return lambda archs: np.asarray(model.predict(one_hot(space, archs)))


def _lookup_table(space: SearchSpace, rows: Measured, _seed: int) -> Model:
    """One entry a unit, position, K and E, filled by least squares from whole subnets; nothing is measured alone.

    Where the rows leave entries open, they are the smallest that fit (about the mean), which an entry
    that was never seen takes as 0.
    """
    middle = rows.values.mean()
    table = np.linalg.lstsq(entries(space, rows.archs), rows.values - middle, rcond=None)[0]
    return lambda archs: np.asarray(middle + entries(space, archs) @ table)


def _boosted_trees(space: SearchSpace, rows: Measured, seed: int) -> Model:
    """300 trees of depth 3 on the knobs' values, each on a random 70% of the rows (Friedman, *Stochastic gradient
    boosting*, 2002)."""
    model = GradientBoostingRegressor(
        n_estimators=300, learning_rate=0.05, max_depth=3, subsample=0.7, random_state=seed
    )
    model.fit(knob_values(space, rows.archs), rows.values)
    return lambda archs: np.asarray(model.predict(knob_values(space, archs)))


def _neural_network(space: SearchSpace, rows: Measured, seed: int, steps: int) -> Model:
    """Once-for-All's predictor: its encoding with the image size, three hidden layers of 400, ReLU, a last layer
    without bias that learns the difference from the mean, absolute error, Adam.

    One departure, in its favour: values are divided by their standard deviation (theirs are shares, from 0 to 1).
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    middle, spread = rows.values.mean(), rows.values.std()
    x = torch.tensor(one_hot(space, rows.archs), dtype=torch.float32)
    y = torch.tensor((rows.values - middle) / spread, dtype=torch.float32)
    widths = [x.shape[1], *(HIDDEN,) * HIDDEN_LAYERS]
    hidden = [part for i in range(HIDDEN_LAYERS) for part in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]
    network = nn.Sequential(*hidden, nn.Linear(HIDDEN, 1, bias=False))
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    done = 0
    while done < steps:
        for batch in torch.randperm(len(x), generator=generator).split(BATCH)[: steps - done]:
            optimiser.zero_grad()
            (network(x[batch]).squeeze(1) - y[batch]).abs().mean().backward()
            optimiser.step()
            done += 1

    def predict(archs: Sequence[Arch]) -> FloatArray:
        with torch.inference_mode():
            found = network(torch.tensor(one_hot(space, archs), dtype=torch.float32)).squeeze(1).double().numpy()
        return np.asarray(middle + spread * found)

    return predict
