"""Status of a device (temperature, clock, drift), shown beside the progress of a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def condition(row: Mapping[str, Any], drift: float | None = None, max_drift: float | None = None) -> str:
    """Return what the device tells of temperature, clock, throttling and drift: ``62 °C, 1500 MHz, reference +1.2%``.

    Parameters
    ----------
    row
        A timing, or what `Runner.state` returns.
    drift
        The latest reference relative to what it should take, minus 1; beyond `max_drift` that is said.
    """
    temperature = row.get("temperature_c") or max((row.get("temperatures_c") or {}).values(), default=None)
    told = []
    if temperature is not None:
        told.append(f"{temperature:.0f} °C")
    if (clock := row.get("clock_mhz")) is not None:
        told.append(f"{clock:.0f} MHz")
    if throttled := row.get("throttled"):
        told.append(f"the board reports: {throttled}")
    if drift is not None:
        beyond = f", beyond {100 * max_drift:g}%" if max_drift is not None and abs(drift) > max_drift else ""
        told.append(f"reference {100 * drift:+.1f}%{beyond}")
    return ", ".join(told)
