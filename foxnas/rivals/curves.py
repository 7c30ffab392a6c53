"""Latency-accuracy curves of models, between whose points both are interpolated, and what images say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: Resamples that are computed at once: with 10,000 images that all differ, 20 MB.
_AT_ONCE = 250


def frontier(latency_ms: FloatArray, accuracy: FloatArray) -> list[int]:
    """Return the points that nothing faster is as accurate as, from the fastest on."""
    kept: list[int] = []
    for i in np.lexsort((-accuracy, latency_ms)).tolist():
        if not kept or accuracy[i] > accuracy[kept[-1]]:
            kept.append(i)
    return kept


def accuracy_at(latency_ms: FloatArray, accuracy: FloatArray, at_ms: float) -> FloatArray:
    """Return the accuracy at a latency, linear between two points and constant after the slowest; nan before the first.

    Parameters
    ----------
    latency_ms
        (points,), ascending.
    accuracy
        (resamples, points).
    """
    if at_ms < latency_ms[0]:
        return np.full(len(accuracy), np.nan)
    after = int(np.searchsorted(latency_ms, at_ms, side="right"))
    if after == len(latency_ms):
        return accuracy[:, -1]
    share = (at_ms - latency_ms[after - 1]) / (latency_ms[after] - latency_ms[after - 1])
    return (1 - share) * accuracy[:, after - 1] + share * accuracy[:, after]


def latency_at(latency_ms: FloatArray, accuracy: FloatArray, level: FloatArray) -> FloatArray:
    """Return the least latency at which a curve reaches an accuracy: its fastest point's or more, infinite if nowhere.

    Parameters
    ----------
    latency_ms, accuracy
        As of `accuracy_at`.
    level
        (resamples,).
    """
    reached = accuracy >= level[:, None]
    row, first = np.arange(len(accuracy)), reached.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    low, high = accuracy[row, before], accuracy[row, first]
    share = np.divide(level - low, high - low, out=np.ones(len(level)), where=first > before)
    between = latency_ms[before] + share * (latency_ms[first] - latency_ms[before])
    return np.where(reached.any(axis=1), between, np.inf)


def resampled(correct: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return top-1 in percent, (1 + resamples, models): of the images as they are, then of as many drawn from them.

    The images of a resample are the same for all models. Images that the same models get right are alike, so that
    numbers of images are drawn and not images.

    Parameters
    ----------
    correct
        bool (images,) for each model: what it got right.
    """
    kinds, counts = np.unique(np.stack(correct, axis=1), axis=0, return_counts=True)
    images = counts.sum()
    found = [100 * counts[None] @ kinds / images]
    for start in range(0, resamples, _AT_ONCE):
        drawn = rng.multinomial(images, counts / images, min(_AT_ONCE, resamples - start))
        found.append(100 * drawn @ kinds / images)
    return np.concatenate(found)
