"""One row: load a model, warm up, time its runs."""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foxnas.devices.runner.machine import from_proc


def time_runs(invoke: Callable[[], None], least: int, floor_ms: float, cap_ms: float) -> list[int]:
    """Return durations in ns of `invoke` alone: at least so many, for at least so long, never past the cap."""
    clock = time.perf_counter_ns
    durations: list[int] = []
    begin = clock()
    while True:
        start = clock()
        invoke()
        end = clock()
        durations.append(end - start)
        spent_ms = (end - begin) / 1e6
        if spent_ms >= cap_ms or (len(durations) >= least and spent_ms >= floor_ms):
            return durations


def involuntary_switches() -> int:
    """Return how often the system has taken the CPU from this process in favour of another."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def reset_peak_memory() -> None:
    """Begin a new high-water mark where Linux allows it; elsewhere the mark is the process's own."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Return the most memory this process has held since `reset_peak_memory`, in MiB."""
    peak = from_proc("/proc/self/status", "VmHWM")
    if peak:
        return int(peak.split()[0]) / 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 * (1024 if sys.platform == "darwin" else 1))


def measure(backend: Any, model: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return one row: load, warm up, time. Times in ms."""
    import numpy as np

    reset_peak_memory()
    invoke, outside = backend.load(model, settings["threads"], settings["xnnpack"], settings["seed"])
    cap_ms = settings["max_time_ms"]
    time_runs(invoke, settings["warm_up_runs"], settings["warm_up_ms"], cap_ms)
    gc.collect()
    gc.disable()
    preempted = -involuntary_switches()
    try:
        runs = np.array(time_runs(invoke, settings["min_runs"], settings["min_time_ms"], cap_ms)) / 1e6
    finally:
        gc.enable()
    preempted += involuntary_switches()
    low, median, high = np.percentile(runs, [10, 50, 90])
    return {
        "latency_ms": float(median),
        "p10_ms": float(low),
        "p90_ms": float(high),
        "mad_ms": float(np.median(np.abs(runs - median))),
        "runs": len(runs),
        "preempted_percent": min(100.0 * preempted / len(runs), 100.0),
        "fallback_operators": outside,
        "peak_memory_mb": peak_memory_mb(),
    }


def timer_overhead_ns() -> int:
    """Return the median duration in ns that is reported for doing nothing."""
    return sorted(time_runs(lambda: None, 1001, 0, 1000))[500]
