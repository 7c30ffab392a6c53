"""Whether the 95% prediction intervals held what was measured of the candidates, by form and by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foxnas.predictor.by_size import predict_each
from foxnas.predictor.linking import NamedFit
from foxnas.predictor.model import Predictor
from foxnas.report.acquired import PROMISED
from foxnas.report.data import BudgetRun, DeviceRun, Fits, Run
from foxnas.report.plane import top1_of
from foxnas.space.arch import Arch

#: Every round together.
ALL = "all"

#: The 97.5% quantile of the normal distribution.
_NORMAL_95 = 1.959964

#: Column of what candidates score on the fit images, which are the ones that are predicted.
ON_FIT = "fit_top1_percent"


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

    After top-1 stand the same intervals with what other images than those of the fit may differ by ("images").
    Before them, where candidates were measured on the fit images, too, stands the search's own of these ("fit"). Those
    of a form are the fits to the sampled subnets; later rounds of the search had refitted ones.
    """
    tried = pd.concat([_with_predictions(run, budget) for budget in device.budgets], ignore_index=True)
    columns = {"top1": "float_top1_percent", "latency": "latency_ms"}
    found = []
    if ON_FIT in tried:
        seen = tried[tried[ON_FIT].notna()]
        own = seen[["top1_mean", "top1_lower", "top1_upper"]].to_numpy(dtype=float)
        found.append(Holding("fit", None, None, _by_round(seen, own, ON_FIT)))
    for target, fits in (("top1", run.accuracy), ("latency", device.latency)):
        own = tried[[f"{target}_{end}" for end in ("mean", "lower", "upper")]].to_numpy(dtype=float)
        found.append(Holding(target, None, None, _by_round(tried, own, columns[target])))
        if target == "top1" and "images" in tried:
            wider = allow_for_images(own, run.fit_images, tried["images"].to_numpy(dtype=float))
            found.append(Holding("images", None, None, _by_round(tried, wider, columns[target])))
        for key, predictors in _everywhere(fits, target):
            named = NamedFit.of(key)
            predicted = predict_each(predictors, [Arch.parse(text) for text in tried["arch"]])
            rounds = _by_round(tried, predicted, columns[target])
            found.append(Holding(target, named.form, named.link, rounds, named.together))
    return found


@dataclass(frozen=True)
class Acquired:
    """One line of the table of acquisition: a round, how its promises held, and what had led to it."""

    name: str
    subnets: int
    optima: int
    """How many were predicted to be best under a budget and reserve."""
    gap: float
    """Largest difference between an optimum's prediction and the best measured before, in points; signed."""
    agreed: bool
    held: Held | None
    """None where nothing was measured."""


def acquired_rounds(device: DeviceRun) -> list[Acquired]:
    """Return the line of every round of acquisition."""
    return [
        Acquired(
            one.name, len(one.subnets), int((one.subnets["source"] == "optimum").sum()),
            max(one.gaps, key=abs, default=float("nan")), one.agreed,
            _held(
                one.subnets[PROMISED].to_numpy(dtype=float),
                one.subnets["measured"].to_numpy(dtype=float),
            ) if len(one.subnets) else None,
        )
        for one in device.acquired
    ]  # fmt: skip


def allow_for_images(predicted: np.ndarray, fit_images: int, images: np.ndarray) -> np.ndarray:
    """Return predictions and 95% intervals of top-1 (percent) on as many other images as each was measured on.

    The fit images are a sample, too: the means of two have a binomial difference. It is much the same for all subnets,
    so that such intervals hold or fail together.
    """
    mean, lower, upper = predicted.T
    share = np.clip(mean / 100, 0, 1)
    half = 100 * _NORMAL_95 * np.sqrt(share * (1 - share) * (1 / fit_images + 1 / images))
    return np.column_stack([mean, mean - np.hypot(mean - lower, half), mean + np.hypot(upper - mean, half)])


def _with_predictions(run: Run, budget: BudgetRun) -> pd.DataFrame:
    of_latency = budget.candidates[["latency_ms", "latency_lower_ms", "latency_upper_ms"]].to_numpy(dtype=float)
    predicted = pd.DataFrame(
        np.hstack([top1_of(run, budget.candidates), of_latency]),
        columns=[f"{target}_{end}" for target in ("top1", "latency") for end in ("mean", "lower", "upper")],
    ).assign(id=budget.candidates["id"].to_numpy())
    if ON_FIT in budget.candidates:
        predicted[ON_FIT] = budget.candidates[ON_FIT].to_numpy(dtype=float)
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
    return {name: _held(predicted[rows], measured[rows]) for name, rows in rounds.items()}


def _held(predicted: np.ndarray, measured: np.ndarray) -> Held:
    mean, lower, upper = predicted.T
    error, inside = mean - measured, (lower <= measured) & (measured <= upper)
    return Held(int(inside.sum()), len(measured), float(error.mean()), float(np.abs(error).mean()))
