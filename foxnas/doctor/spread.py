"""Spread of sessions, and the smallest difference to a budget that a promise can be decided at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

from scipy import special  # stats takes half a second to import

from foxnas.verdict.decision import rank

#: How often a model that is so far below its budget is to be called kept.
POWER = 0.9


def spread_percent(session_medians_ms: Sequence[float]) -> float:
    """Return the standard deviation of sessions' medians relative to their mean, in percent."""
    return 100 * stdev(session_medians_ms) / mean(session_medians_ms)


def interval_percent(percent: float, sessions: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a spread that was estimated from so many sessions.

    Of a normal distribution: (n - 1) s^2 / sigma^2 has the chi-squared distribution with n - 1 degrees of freedom.
    """
    freedom, tail = sessions - 1, (1 - confidence) / 2
    low, high = (percent * math.sqrt(freedom / float(special.chdtri(freedom, share))) for share in (tail, 1 - tail))
    return low, high


def least_difference_percent(percent: float, sessions: int, least_sessions: int) -> float | None:
    """Return how far below a budget, in percent, a model must be for its promise to be called kept `POWER` of the time.

    After so many sessions, the first look being after `least_sessions`; None where the rule may not decide by then.
    Of normal session medians: the r-th largest of n, the bound of `verdict.decision`, is within the budget when fewer
    than r of n sessions lie above it.
    """
    place = rank(sessions, least_sessions)[0]
    if not place:
        return None
    above = float(special.bdtri(place - 1, sessions, POWER))
    return -percent * float(special.ndtri(above))
