"""Interface of a backend of the runner."""

from __future__ import annotations

import abc
import contextlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from foxnas.runner.machine import from_proc


class Loaded(NamedTuple):
    """A model that is ready to run: what runs it once and returns the ns that took, and what is known of it.

    The facts: batch, dtype and signedness of the arithmetic, io_dtype at the ends, executor (what runs it, with
    every option that makes it faster), fallback_operators (outside the delegate, None where not known).
    """

    timed: Callable[[], int]
    facts: dict[str, Any]


class Backend(abc.ABC):
    """A runtime that models are timed on. Its construction raises RuntimeError, saying what is missing."""

    runtime: str
    version: str
    #: The chip that is not the CPU.
    accelerator: str | None = None

    @abc.abstractmethod
    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        """Return a model that is ready to run. Raises Exception, of any kind, for a model that cannot be run."""

    def sample(self) -> dict[str, Any]:
        """Return what the accelerator tells beside one timing, in place of what `Sensors.sample` says."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what the accelerator tells beside a session, beside what `Sensors.state` says."""
        return {}

    def reset_peak_memory(self) -> bool:
        """Begin a new high-water mark; return whether that worked. If not, the mark is the session's so far."""
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            return True
        return False

    def peak_memory_mb(self) -> float:
        """Return the most memory this process, runtime and all, has held since then, in MiB."""
        peak = from_proc(Path("/proc/self/status"), "VmHWM")
        if peak:
            return int(peak.split()[0]) / 1024.0
        unit = 1024.0 * (1024 if sys.platform == "darwin" else 1)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def by_wall_clock(invoke: Callable[[], Any]) -> Callable[[], int]:
    """Return what runs `invoke` and returns the ns that passed, its own call not among them."""
    clock = time.perf_counter_ns

    def timed() -> int:
        start = clock()
        invoke()
        return clock() - start

    return timed
