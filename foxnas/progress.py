"""Say how far a long job is: count, rate and time left, every few seconds, in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Progress:
    """Logs ``37/100 subnets, 2.1/s, 30 s left`` at most every `every_s` seconds and at the end; begins when made."""

    def __init__(self, total: int, noun: str, every_s: float = 5.0) -> None:
        self._total, self._noun, self._every_s = total, noun, every_s
        self._started = self._last = time.monotonic()

    def reached(self, done: int) -> None:
        """Take note that so many are done."""
        now = time.monotonic()
        if now - self._last >= self._every_s or done == self._total:
            self._last = now
            rate = done / max(now - self._started, 1e-9)
            left_s = (self._total - done) / rate
            log.info("%d/%d %s, %.3g/s, %.0f s left", done, self._total, self._noun, rate, left_s)


def follow(items: Iterable[Item], total: int, noun: str, every_s: float = 5.0) -> Iterator[Item]:
    """Yield the items and log the progress; an item is done when the next one is asked for."""
    progress = Progress(total, noun, every_s)
    for done, item in enumerate(items, 1):
        yield item
        progress.reached(done)
