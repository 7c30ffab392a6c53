"""Progress of a long job in its log: count, rate and time left, every few seconds."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")

#: Seconds between two lines, at first and at most; they become more as a job goes on.
FIRST_S = 5.0
LAST_S = 60.0

#: What took less is not worth a line of its own.
WORTH_A_LINE_S = 1.0


def duration(seconds: float) -> str:
    """Return a duration in the one or two units that fit it: ``0.4 s``, ``42 s``, ``3 min 5 s``, ``2 h 7 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def pace(done: float, seconds: float) -> str:
    """Return how fast it goes, in what reads best: ``2.1/s`` or, when slower than one a second, ``15 s each``."""
    rate = done / max(seconds, 1e-9)
    if rate >= 100:
        return f"{rate:,.0f}/s"
    return f"{rate:.3g}/s" if rate >= 1 else f"{duration(1 / rate)} each"


def interval_s(spent_s: float) -> float:
    """Return the seconds to be silent after `spent_s`, so that a night's log can still be read."""
    return min(max(FIRST_S, spent_s / 20), LAST_S)


class Progress:
    """Logs ``37/100 subnets, 2.1/s, 30 s left`` every few seconds and at the end; begins when made.

    Parameters
    ----------
    state
        Adds what else is to be known at that moment; it is only asked for a line that is written.
    within
        Whether this is one step of a job that reports its own progress: then the end is not worth a line.
    """

    def __init__(self, total: int, noun: str, state: Callable[[], str] | None = None, *, within: bool = False) -> None:
        self._total, self._noun, self._state, self._within = total, noun, state, within
        self._started = self._last = time.monotonic()

    def reached(self, done: int, *told: str) -> None:
        """Take note that `done` are done; what else is `told` goes into the line, if one is written."""
        now = time.monotonic()
        spent_s = now - self._started
        ends = done == self._total and not self._within and spent_s >= WORTH_A_LINE_S
        if not ends and now - self._last < interval_s(spent_s):
            return
        self._last = now
        if done == 0:
            words = [f"{duration(spent_s)} so far"]
        elif done < self._total:
            words = [pace(done, spent_s), f"{duration(spent_s * (self._total - done) / done)} left"]
        else:
            words = [pace(done, spent_s), f"done in {duration(spent_s)}"]
        words += [*told, self._state() if self._state is not None else ""]
        log.info("%d/%d %s, %s", done, self._total, self._noun, ", ".join(filter(None, words)))


def follow(
    items: Iterable[Item], total: int, noun: str, state: Callable[[], str] | None = None, *, within: bool = False
) -> Iterator[Item]:
    """Yield the items and log the progress; an item is done when the next one is asked for."""
    progress = Progress(total, noun, state, within=within)
    for done, item in enumerate(items, 1):
        yield item
        progress.reached(done)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Log what is being done, every now and then that it still is, and in the end how long it took.

    For a step whose own progress cannot be seen: an installation, an upload, a download by another program.
    """
    log.info("%s", what)
    started, ended = time.monotonic(), threading.Event()

    def tell() -> None:
        while not ended.wait(interval_s(time.monotonic() - started)):
            log.info("%s: %s so far", what, duration(time.monotonic() - started))

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
    log.info("%s: done in %s", what, duration(time.monotonic() - started))
