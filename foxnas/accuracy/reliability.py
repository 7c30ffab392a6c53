"""How much of a measured accuracy's variance is signal: the noise ceiling of any fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foxnas.errors import FoxnasError


def split_half_reliability(outcomes: ArrayLike, rng: np.random.Generator, splits: int = 50) -> float:
    """Return the reliability of the subnets' mean outcomes: the largest R^2 that a perfect predictor could reach.

    The images are dealt into two halves at random; r is the correlation, over subnets, of the two halves' means.
    Spearman and Brown's 2r / (1 + r) carries it to all images. What an image adds to every subnet alike cancels,
    as it does in a regression's intercept.

    Parameters
    ----------
    outcomes
        (subnets, images): correct or not, or the probability of the correct class.
    rng
        Deals the images.
    splits
        Number of random halvings over which r is averaged.

    Returns
    -------
    float
        Between 0 (all noise) and 1; its own standard error with 300 subnets is about (1 - value) / 12.

    Raises
    ------
    FoxnasError
        Fewer than three subnets or two images, values that are no numbers, or subnets that do not differ at all.
    """
    values = np.asarray(outcomes, dtype=np.float32)
    if values.ndim != 2 or values.shape[0] < 3 or values.shape[1] < 2:
        raise FoxnasError(f"reliability needs outcomes of 3 or more subnets on 2 or more images, got {values.shape}")
    if not np.isfinite(values).all():
        raise FoxnasError("reliability: an outcome is not a number; evaluate its subnet again")
    if splits < 1:
        raise FoxnasError(f"reliability: splits {splits} must be at least 1")
    images = values.shape[1]
    # Images' own means would only cost float32 digits: no comparison between subnets uses them.
    values = values - values.mean(axis=0)
    halves = np.full((images, splits), -1, dtype=np.float32)
    for column in halves.T:
        column[rng.permutation(images)[: images // 2]] = 1
    difference = (values @ halves).astype(float)
    total = values.sum(axis=1, dtype=float)[:, None]
    first, second = (total + difference) / 2, (total - difference) / 2
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    if not (scale > 0).all():
        raise FoxnasError("reliability: the subnets have one and the same mean outcome, so nothing can be explained")
    r = float(np.mean((first * second).sum(axis=0) / scale))
    return max(0.0, 2 * r / (1 + r))
