"""Whether the 95% prediction intervals held what was measured of the candidates, by form and by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foxnas.predictor.linking import NamedFit
from foxnas.predictor.model import Predictor
from foxnas.report.data import BudgetRun, DeviceRun, Fits, Run, predict_each
from foxnas.report.plane import top1_of
from foxnas.space.arch import Arch

#: Every round together.
ALL = "all"


@dataclass(frozen=True)
class Held:
    """Of the candidates of a round: how many intervals held the measured value, and the mean error of prediction."""

    held: int
    of: int
    mean_error: float
    """Predicted less measured, in the target's unit."""
    mean_absolute_error: float


@dataclass(frozen=True)
class Holding:
    """One line of the table: a fit's intervals, round by round (`ALL`: of all).

    `form` is None for the predictions that the search itself made, with the predictors of its round.
    """

    target: str
    form: str | None
    link: str | None
    rounds: Mapping[str, Held]
    together: bool = False


def holdings(run: Run, device: DeviceRun) -> list[Holding]:
    """Return the lines of top-1 (float, verify split) and of latency (exported file), the search's own first.

    Those of a form are the fits to the sampled subnets; later rounds of the search had refitted ones.
    """
    tried = pd.concat([_with_predictions(run, budget) for budget in device.budgets], ignore_index=True)
    columns = {"top1": "float_top1_percent", "latency": "latency_ms"}
    found = []
    for target, fits in (("top1", run.accuracy), ("latency", device.latency)):
        own = tried[[f"{target}_{end}" for end in ("mean", "lower", "upper")]].to_numpy(dtype=float)
        found.append(Holding(target, None, None, _by_round(tried, own, columns[target])))
        for key, predictors in _everywhere(fits, target):
            named = NamedFit.of(key)
            predicted = predict_each(predictors, [Arch.parse(text) for text in tried["arch"]])
            rounds = _by_round(tried, predicted, columns[target])
            found.append(Holding(target, named.form, named.link, rounds, named.together))
    return found


def _with_predictions(run: Run, budget: BudgetRun) -> pd.DataFrame:
    of_latency = budget.candidates[["latency_ms", "latency_lower_ms", "latency_upper_ms"]].to_numpy(dtype=float)
    predicted = pd.DataFrame(
        np.hstack([top1_of(run, budget.candidates), of_latency]),
        columns=[f"{target}_{end}" for target in ("top1", "latency") for end in ("mean", "lower", "upper")],
    ).assign(id=budget.candidates["id"].to_numpy())
    return budget.verified.merge(predicted, on="id")


def _everywhere(fits: Mapping[int, Fits], target: str) -> Iterator[tuple[str, dict[int, Predictor]]]:
    """Yield the fits of a target that there are at every image size, by name."""
    for key in next(iter(fits.values())).predictors:
        if NamedFit.of(key).target == target and all(key in one.predictors for one in fits.values()):
            yield key, {size: one.predictors[key] for size, one in fits.items()}


def _by_round(tried: pd.DataFrame, predicted: np.ndarray, column: str) -> dict[str, Held]:
    measured = tried[column].to_numpy(dtype=float)
    batches = tried["batch"].to_numpy()
    rounds = {name: batches == name for name in dict.fromkeys(batches)} | {ALL: np.ones(len(tried), dtype=bool)}
    found = {}
    for name, rows in rounds.items():
        mean, lower, upper = predicted[rows].T
        error, y = mean - measured[rows], measured[rows]
        inside = int(((lower <= y) & (y <= upper)).sum())
        found[name] = Held(inside, len(y), float(error.mean()), float(np.abs(error).mean()))
    return found
