"""What the reference model usually takes on a device, from the sessions that sampled it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from foxnas.device.protocol import MeasurementProtocol
from foxnas.files.tables import read_json

_log = logging.getLogger(__name__)


def baseline_ms(sampled: Sequence[Path], made_from: str, protocol: MeasurementProtocol) -> float | None:
    """Return the median of all references that `measure_probes` timed, from what it says of its sessions.

    None, with a warning, when none were timed with the same reference model and protocol: made by other code, or
    with other settings. Then nothing says what is usual.
    """
    alike = [
        found
        for found in map(read_json, sampled)
        if found["made_from"] == made_from and found["protocol"] == asdict(protocol)
    ]
    if timed := [ms for found in alike for session in found["sessions"] for ms in session["references_ms"]]:
        return float(median(timed))
    _log.warning("the device was sampled with another reference model or protocol, so what is usual there is unknown")
    return None
