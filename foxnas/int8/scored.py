"""What an exported int8 model answers on labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

#: What int8 files are compared by.
Measure = Literal["top1", "probability"]

#: The column of each in tables of exported candidates.
COLUMNS: dict[Measure, str] = {"top1": "int8_top1_percent", "probability": "int8_probability_percent"}


#: What each is called.
MEASURES: dict[Measure, str] = {"top1": "top-1", "probability": "mean probability of the right class"}


@dataclass(frozen=True, eq=False)
class Scored:
    """What a full-integer model answers on labelled images: bool (n,), and float64 (n,) from 0 to 1."""

    correct: np.ndarray
    """Which images it gets right."""
    probability: np.ndarray
    """What its softmax gives the right class of each."""

    @property
    def percent(self) -> dict[str, float]:
        """Mean over the images of each measure, by its column."""
        top1, probability = 100 * int(self.correct.sum()) / len(self.correct), 100 * float(self.probability.mean())
        return {COLUMNS["top1"]: top1, COLUMNS["probability"]: probability}

    def of_each(self, measure: Measure) -> np.ndarray:
        """Return a measure of each image, (n,)."""
        return self.correct if measure == "top1" else self.probability
