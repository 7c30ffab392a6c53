"""Says how far a training is."""

from __future__ import annotations

import logging
import time

import numpy as np

from foxnas.files.progress import duration
from foxnas.supernet.training.recipe import Moment, Recipe

log = logging.getLogger(__name__)

#: Time between two lines of progress.
REPORT_EVERY_S = 15.0


class StepLog:
    """Says how far a training is, how fast, and how long it will take."""

    def __init__(self, recipe: Recipe, steps: int, done: int, silent: bool) -> None:
        self.recipe, self.steps, self.silent = recipe, steps, silent
        self.before = done
        self.started = self.reported = time.monotonic()
        self.losses: list[float] = []

    def step(self, at: Moment, loss: float, learning_rate: float) -> None:
        """Take note of a step; log a line every `REPORT_EVERY_S` seconds and at the end of every epoch."""
        self.losses.append(loss)
        now = time.monotonic()
        ends = at.step + 1 == self.steps
        if self.silent or not (ends or now - self.reported >= REPORT_EVERY_S):
            return
        self.reported = now
        done = at.epoch * self.steps + at.step + 1
        rate = (done - self.before) / max(now - self.started, 1e-9)
        rest_s = (self.recipe.epochs * self.steps - done) / rate
        log.info(
            "phase %d, epoch %d/%d, step %d/%d: mean loss %.4f, learning rate %.2g, %.3g images/s, %s left",
            at.phase + 1, at.epoch + 1, self.recipe.epochs, at.step + 1, self.steps, np.mean(self.losses),
            learning_rate, rate * self.recipe.batch_size, duration(rest_s),
        )  # fmt: skip
        if ends:
            self.losses.clear()
