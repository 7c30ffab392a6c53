"""Says how far a training is."""

from __future__ import annotations

import logging
import time

import numpy as np

from foxnas.files.progress import duration
from foxnas.supernet.training.forecast import Forecast
from foxnas.supernet.training.recipe import Moment, Recipe

log = logging.getLogger(__name__)

#: Time between two lines of progress.
REPORT_EVERY_S = 15.0


class StepLog:
    """Says how far a training is, how fast, and how long it will take.

    Parameters
    ----------
    steps
        Of an epoch.
    forecast
        By which later phases take more or less than earlier ones; None: all steps are alike.
    """

    def __init__(self, recipe: Recipe, steps: int, silent: bool, forecast: Forecast | None = None) -> None:
        self.recipe, self.steps, self.silent = recipe, steps, silent
        self.forecast = forecast or Forecast(recipe, steps, [1.0] * len(recipe.phases), {})
        self.done, self.expected_s = 0, 0.0
        self.started = self.reported = time.monotonic()
        self.losses: list[float] = []

    def step(self, at: Moment, loss: float, learning_rate: float) -> None:
        """Take note of a step; log a line every `REPORT_EVERY_S` seconds and at the end of every epoch."""
        self.losses.append(loss)
        now = time.monotonic()
        ends = at.step + 1 == self.steps
        self.done += 1
        self.expected_s += self.forecast.step_s[at.phase] + ends * self.forecast.check_s.get(at.phase, 0.0)
        if self.silent or not (ends or now - self.reported >= REPORT_EVERY_S):
            return
        self.reported = now
        took_s = now - self.started
        rest_s = sum(self.forecast.rest_s(at.epoch, at.step + 1)) * took_s / max(self.expected_s, 1e-9)
        log.info(
            "phase %d, epoch %d/%d, step %d/%d: mean loss %.4f, learning rate %.2g, %.3g images/s, %s left",
            at.phase + 1, at.epoch + 1, self.recipe.epochs, at.step + 1, self.steps, np.mean(self.losses),
            learning_rate, self.done / max(took_s, 1e-9) * self.recipe.batch_size, duration(rest_s),
        )  # fmt: skip
        if ends:
            self.losses.clear()

    def end(self) -> None:
        """Say what the training took, beside what its steps were expected to take."""
        if self.forecast.timed and not self.silent:
            took_s = time.monotonic() - self.started
            log.info("trained in %s; %s were expected", duration(took_s), duration(self.expected_s))
