"""Numbers as the page prints them."""

from __future__ import annotations

import math

_MINUS = "\u2212"


def milliseconds(value: float) -> str:
    """Return a latency with four significant digits."""
    return significant(value, 4)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with the given significant digits, trailing zeros included."""
    if math.isnan(value):
        return "none"
    return f"{value:#.{digits}g}".rstrip(".").replace("-", _MINUS)


def decimals(value: float, places: int) -> str:
    """Return a number with the given decimals."""
    return f"{value:.{places}f}".replace("-", _MINUS)


def span(limits: tuple[float, float], places: int) -> str:
    """Return a range, or the one number it is."""
    low, high = (decimals(value, places) for value in limits)
    return low if low == high else f"{low}\u2013{high}"


def r2(value: float) -> str:
    """Return a share of variance or a rank correlation."""
    return decimals(value, 3)


def signed(value: float) -> str:
    """Return a difference of percentages, in points."""
    return f"{value:+.2f}".replace("-", _MINUS)


def p_value(value: float) -> str:
    """Return a p-value as tables print it."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
