"""Decides whether another round of measurements changed what the predictors promise."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: The part of the frontier that matters to a budget, as shares of it: what a reserve or a fast device may pick.
_FROM, _STEPS = 0.8, 41


def moved(before: pd.DataFrame, after: pd.DataFrame, budget_ms: float) -> float:
    """Return by how much the frontier moved near the budget: the largest change of accuracy, in points.

    Parameters
    ----------
    before, after
        Two frontiers, with the columns `accuracy` and `latency_ms`.
    budget_ms
        Latencies from 80% of it up to all of it are looked at; where only one frontier has an architecture
        that fast, the change is infinite.
    """
    latencies_ms = budget_ms * np.linspace(_FROM, 1, _STEPS)
    one, other = (_best_at(frontier, latencies_ms) for frontier in (before, after))
    neither = np.isneginf(one) & np.isneginf(other)
    return float(np.abs(np.where(neither, 0, other) - np.where(neither, 0, one)).max())


def _best_at(frontier: pd.DataFrame, latencies_ms: np.ndarray) -> np.ndarray:
    ordered = frontier.sort_values("latency_ms")
    best = np.maximum.accumulate(ordered["accuracy"].to_numpy())
    place = np.searchsorted(ordered["latency_ms"].to_numpy(), latencies_ms, side="right") - 1
    return np.where(place >= 0, best[place], -np.inf)
