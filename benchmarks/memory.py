"""The largest memory while something runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil


class PeakMemory:
    """The largest of what `read` returns, in MB, sampled every so many seconds while it is open."""

    def __init__(self, read: Callable[[], float], every_s: float) -> None:
        self.mb = 0.0
        self._read, self._every_s = read, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            self.mb = max(self.mb, self._read())


def largest_resident_mb() -> float:
    """Return the largest resident set of this process and its children."""
    largest, me = 0.0, psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            largest = max(largest, process.memory_info().rss / 1e6)
        except psutil.Error:  # it has ended
            continue
    return largest


def private_mb() -> float:
    """Return the memory of this process without the files it maps."""
    memory = psutil.Process().memory_info()
    return float(memory.rss - memory.shared) / 1e6
