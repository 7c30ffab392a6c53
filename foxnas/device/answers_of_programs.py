"""Small programs that run once on a device under its lock and answer with one JSON object on their last line."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from foxnas.device.text import printable
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)

#: Between two questions to a device that somebody measures on.
_PAUSE_S = 5.0


def last_object(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object on the last line, if there is one."""
    lines = text.decode(errors="replace").strip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def ask_until_free(
    device: Device, ask: Callable[[], dict[str, Any]], waits: Callable[[str], str], gives_up: Callable[[str], str]
) -> dict[str, Any]:
    """Return the first answer that is not ``{"busy": who measures}``.

    Parameters
    ----------
    waits, gives_up
        What is said, given who measures, when the waiting begins and when it has taken `device.busy_s`.

    Raises FoxnasError when somebody measures there for that long.
    """
    begun, told = time.monotonic(), False
    while "busy" in (answer := ask()):
        holder = printable(str(answer["busy"]), 100)
        if time.monotonic() - begun > device.busy_s:
            raise FoxnasError(gives_up(holder))
        if not told:
            _log.info("%s: %s", device, waits(holder))
            told = True
        time.sleep(min(_PAUSE_S, device.busy_s))
    return answer
