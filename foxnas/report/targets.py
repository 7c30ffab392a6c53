"""Targets and their units, as the page calls them."""

from __future__ import annotations

#: How targets are called on axes and in headings.
TARGET_NAMES = {"top1": "top-1", "probability": "mean probability of the correct class", "latency": "latency"}
#: And their units there.
UNITS = {"percent": "%", "ms": "ms"}
#: Differences of percentages are points.
DIFFERENCE_UNITS = {"percent": "points", "ms": "ms"}


def name_of(target: str) -> str:
    """Return how a target is called on axes and in headings; a further one by its own name."""
    return TARGET_NAMES.get(target, target)


def unit_of(unit: str) -> str:
    """Return a unit as axes have it."""
    return UNITS.get(unit, unit)


def difference_unit(unit: str) -> str:
    """Return the unit of a difference."""
    return DIFFERENCE_UNITS.get(unit, unit)
