"""Runs one model without a pause and times every inference: the first one, the slow ones, and what heat does to all.

Needs Python 3.7 and the runtime. Asked on stdin, by one JSON object on a line and the model's bytes behind it:

    {"lock", "holder", "backend", "threads", "cpu", "settings", "seconds"}

it writes a line after each window of time, so that it ends when nobody reads on, and answers on the last line of
stdout with one JSON object: what `sustain` returns, {"busy": who measures} or {"error"}.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from foxnas.runner.backend import Backend
from foxnas.runner.lock import acquire_lock
from foxnas.runner.machine import pin
from foxnas.runner.sensors import Sensors
from foxnas.runner.server import BACKENDS
from foxnas.runner.timing import time_runs

#: Windows of time that a run is cut into, each with a median of its own; between two the sensors are read.
WINDOWS = 30


class _Busy(Exception):
    pass


def _refuse(holder: str) -> None:
    raise _Busy(holder)


def sustain(
    backend: Backend,
    model: bytes,
    settings: dict[str, Any],
    seconds: float,
    sensors: Sensors,
    heard: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Return times in ms: of loading, of the first inference, and percentiles of all others; and the windows.

    `heard` learns of each window. Where one inference takes longer than a window, that window has it alone.
    """
    import numpy as np

    started = time.perf_counter()
    timed = backend.load(model, settings).timed
    loading_ms = 1000 * (time.perf_counter() - started)
    first_ms = timed() / 1e6
    window_ms, windows, every = 1000 * seconds / WINDOWS, [], []
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            # As float32, since a fast model makes millions of runs.
            every.append((np.array(time_runs(timed, 1, window_ms, math.inf)) / 1e6).astype(np.float32))
            seen = {"after_s": time.perf_counter() - begun, "median_ms": float(np.median(every[-1]))}
            windows.append(dict(seen, **dict(sensors.sample(), **backend.sample())))
            heard(windows[-1])
    finally:
        gc.enable()
    runs = np.concatenate(every).astype(float)
    half, most, nearly_all = np.percentile(runs, [50, 90, 99])
    return {
        "loading_ms": loading_ms,
        "first_ms": first_ms,
        "runs": len(runs),
        "p50_ms": float(half),
        "p90_ms": float(most),
        "p99_ms": float(nearly_all),
        "slowest_ms": float(runs.max()),
        "windows": windows,
    }


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> int:
    line, _, model = sys.stdin.buffer.read().partition(b"\n")
    try:
        asked = json.loads(line.decode())
        with acquire_lock(asked["lock"], asked["holder"], _refuse):
            pin(asked["threads"], asked["cpu"])
            backend = BACKENDS[asked["backend"]]()
            answer = sustain(backend, model, asked["settings"], asked["seconds"], Sensors(), _write)
    except _Busy as busy:
        answer = {"busy": str(busy)}
    except BrokenPipeError:
        return 1
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    _write(answer)
    return 0
