"""One row: load a model, warm up, time its runs."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from typing import Any

from foxnas.runner.backend import Backend, by_wall_clock
from foxnas.runner.sensors import Sensors


def time_runs(timed: Callable[[], int], least: int, floor_ms: float, cap_ms: float) -> list[int]:
    """Return durations in ns: at least so many, for at least so long, never past the cap."""
    clock = time.perf_counter_ns
    durations: list[int] = []
    begin = clock()
    while True:
        durations.append(timed())
        spent_ms = (clock() - begin) / 1e6
        if spent_ms >= cap_ms or (len(durations) >= least and spent_ms >= floor_ms):
            return durations


def involuntary_switches() -> int:
    """Return how often the system has taken the CPU from this process in favour of another."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def measure(backend: Backend, model: bytes, settings: dict[str, Any], sensors: Sensors) -> dict[str, Any]:
    """Return one row: load, warm up, time, then ask the sensors. Times in ms, energy in mJ an inference.

    `device_ms` is what all of it took. Energy is that of the whole package or board while it inferred, what it
    draws when idle included.
    """
    import numpy as np

    started = time.perf_counter()
    backend.reset_peak_memory()
    timed, facts = backend.load(model, settings)
    cap_ms = settings["max_time_ms"]
    time_runs(timed, settings["warm_up_runs"], settings["warm_up_ms"], cap_ms)
    gc.collect()
    gc.disable()
    preempted, energy_j, begun = -involuntary_switches(), sensors.energy_j(), time.perf_counter()
    try:
        runs = np.array(time_runs(timed, settings["min_runs"], settings["min_time_ms"], cap_ms)) / 1e6
    finally:
        gc.enable()
    spent_s, power_w = time.perf_counter() - begun, sensors.power_w()
    used_j = sensors.energy_between_j(energy_j, sensors.energy_j())
    if used_j is None and power_w is not None:
        used_j = power_w * spent_s
    preempted += involuntary_switches()
    low, median, high = np.percentile(runs, [10, 50, 90])
    row = {
        "latency_ms": float(median),
        "p10_ms": float(low),
        "p90_ms": float(high),
        "mad_ms": float(np.median(np.abs(runs - median))),
        "runs": len(runs),
        "preempted_percent": min(100.0 * preempted / len(runs), 100.0),
        "peak_memory_mb": backend.peak_memory_mb(),
        "energy_mj": None if used_j is None else 1000 * used_j / len(runs),
    }
    row.update(facts)
    row.update(sensors.sample())
    row.update(backend.sample())
    row["device_ms"] = 1000 * (time.perf_counter() - started)
    return row


def timer_overhead_ns() -> int:
    """Return the median duration in ns that is reported for doing nothing."""
    return sorted(time_runs(by_wall_clock(lambda: None), 1001, 0, 1000))[500]
