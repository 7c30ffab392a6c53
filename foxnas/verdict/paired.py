"""Bounds of what int8 costs in accuracy, from the same images shown to both models."""

from __future__ import annotations

import base64
import math

import numpy as np
from scipy import optimize, special

from foxnas.errors import FoxnasError
from foxnas.verdict.decision import ERROR, Decision, state_of


def drop_bounds(lost: int, won: int, images: int) -> tuple[float, float]:
    """Return the one-sided 95% bounds, lower and upper, of the loss of top-1 in points.

    Tango's score bounds of the difference of paired proportions (Statistics in Medicine 17, 891-908, 1998): those
    differences that the score test, with the nuisance probability at its maximum likelihood, does not reject. Unlike
    Wald's they hold where few images are answered differently, none included.

    Parameters
    ----------
    lost, won
        Images that float alone gets right, and int8 alone.
    images
        All of them.
    """
    limit, observed = float(special.ndtri(1 - ERROR)), (lost - won) / images

    def score(difference: float) -> float:
        """Tango's statistic for a true difference."""
        a, c = 2 * images, -won * difference * (1 - difference)
        b = (2 * images - lost + won) * difference - lost - won
        only_won = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = images * (2 * only_won + difference * (1 - difference))
        gap = lost - won - images * difference
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    def root(end: float, value: float) -> float:
        """Return the difference between the observed one and the end at which the statistic has a value."""
        if (score(end) - value) * (score(observed) - value) >= 0:
            return end
        return float(optimize.brentq(lambda x: max(min(score(x), 1e9), -1e9) - value, end, observed))

    return 100 * root(-1 + 1e-12, limit), 100 * root(1 - 1e-12, -limit)


def decide_drop(lost: int, won: int, images: int, max_drop_percent: float) -> Decision:
    """Return whether int8 loses at most the allowed points of top-1 against float; see `drop_bounds`."""
    lower, upper = drop_bounds(lost, won, images)
    state, reason = state_of(lower, upper, max_drop_percent), ""
    if state == "undecided":
        reason = f"{images} test images place the loss between {lower:.2f} and {upper:.2f} points"
    return Decision(state, lower, upper, reason)


def packed(correct: np.ndarray) -> str:
    """Return which images a model got right, bool (images,), as a text for a JSON file."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpacked(text: str, images: int) -> np.ndarray:
    """Inverse of `packed`. Raises FoxnasError when it is of another number of images."""
    bits = np.frombuffer(base64.b64decode(text), np.uint8)
    if len(bits) != -(-images // 8):
        raise FoxnasError(f"the answers are not of {images} images; validate again")
    return np.unpackbits(bits, count=images).astype(bool)


def discordant(of_float: str, of_int8: str, images: int) -> tuple[int, int]:
    """Return how many images float alone gets right, and how many int8 alone, from what `packed` made of each."""
    right, also = (np.frombuffer(base64.b64decode(text), np.uint8) for text in (of_float, of_int8))
    if not len(right) == len(also) == -(-images // 8):
        raise FoxnasError(f"the answers are not of the same {images} images; validate again")
    return int(np.bitwise_count(right & ~also).sum()), int(np.bitwise_count(also & ~right).sum())
