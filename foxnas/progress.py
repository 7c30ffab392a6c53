"""Say how far a long job is: count, rate and time left, every few seconds, in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def follow(items: Iterable[Item], total: int, noun: str, every_s: float = 5.0) -> Iterator[Item]:
    """Yield the items; log ``37/100 subnets, 2.1/s, 30 s left`` at most every `every_s` seconds and at the end."""
    started = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= every_s or done == total:
            last = now
            rate = done / max(now - started, 1e-9)
            log.info("%d/%d %s, %.3g/s, %.0f s left", done, total, noun, rate, (total - done) / rate)
