"""Retries when a device goes away, for as long as the config says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from foxnas.device.transport import Device, DeviceLost, Implausible, RunnerDied

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
MOST_DEATHS = 5


def persist(device: Device, work: Callable[[], _T], progress: Callable[[], int]) -> _T:
    """Return what `work` returns; call it again, after growing pauses, whenever it loses the device.

    Pauses double from a second to a minute. An outage begins with the first loss and ends when `progress`
    has grown; after `device.away_s` of one, the last loss is raised with the number of attempts. A runner that
    dies or answers what cannot be, five times in a row without progress, on a device that is there, is no outage and
    ends the same way. Where another board of a rack takes over, the work goes on at once.
    `work` must take up where it left off.
    """
    pause_s, losses, deaths, began, done = FIRST_PAUSE_S, 0, 0, 0.0, progress()
    while True:
        try:
            return work()
        except DeviceLost as error:
            if device.hands_over():
                continue
            now, said = time.monotonic(), str(error).rstrip(".")
            if losses == 0 or progress() > done:
                pause_s, losses, deaths, began, done = FIRST_PAUSE_S, 0, 0, now, progress()
            losses += 1
            deaths = deaths + 1 if isinstance(error, RunnerDied | Implausible) else 0
            left_s = device.away_s - (now - began) - pause_s
            device.transport.close()  # it may stand and yet be dead
            if left_s < 0 or deaths == MOST_DEATHS:
                if losses == 1:
                    raise
                raise DeviceLost(f"{said}. Gave up after {losses} attempts in {now - began:.0f} s") from error
            _log.warning("%s. Trying again in %.0f s, giving up after %.0f s more", said, pause_s, left_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
