"""Latency of whole models over separate sessions, with an upper bound: does a file keep its promise?"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from scipy import stats

from foxnas.device.acceptance import FACTS, verdict
from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.retrying import persist
from foxnas.device.status_line import condition
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from foxnas.files.progress import Progress

_log = logging.getLogger(__name__)
LEAST_SESSIONS = 3
_Row = dict[str, Any]


@dataclass(frozen=True)
class ModelLatency:
    """One model's latency on one device.

    Parameters
    ----------
    session_medians_ms
        One value per session, at least three; each session is a runner process of its own.
    fallback_operators
        Operators outside the delegate; None where the runtime does not tell.
    peak_memory_mb
        The most memory the runner's process held in any session, in MiB.
    batch, dtype, signedness, io_dtype, executor
        Images at once, types of the arithmetic and at the ends, and what runs it; see `judging.FACTS`.
    """

    session_medians_ms: tuple[float, ...]
    fallback_operators: int | None = None
    peak_memory_mb: float | None = None
    batch: int | None = None
    dtype: str | None = None
    signedness: str | None = None
    io_dtype: str | None = None
    executor: str | None = None

    @property
    def median_ms(self) -> float:
        """The median over sessions."""
        return median(self.session_medians_ms)

    @property
    def upper_ms(self) -> float:
        """Upper 95% confidence bound of the median over sessions; see `upper_bound`."""
        return upper_bound(self.session_medians_ms)

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict, with both."""
        return {**asdict(self), "median_ms": self.median_ms, "upper_ms": self.upper_ms}


def upper_bound(session_medians: Sequence[float], confidence: float = 0.95) -> float:
    """Return the one-sided upper confidence bound of a session's median: mean + t(confidence, n-1) s / sqrt(n).

    Student's t over the n session medians, s their standard deviation (n - 1). What varies from session
    to session (clock, memory layout, neighbours) is far larger than the error of a median of hundreds of
    runs within one, so the sessions, not the runs, are the sample. With three to five sessions no bound
    is free of assumptions: the largest of n exceeds the true median with probability 1 - 2^-n, 87.5% for
    n = 3 and 95% only from n = 5 on. The t bound assumes session medians to be roughly normal; for n = 3
    its factor (2.92 / sqrt 3 = 1.69) puts it above the largest session in every case. How often it really
    holds (400,000 simulated samples each): normal, 95%; with slow sessions further out than fast ones
    (exponential, log-normal with sigma 1), 92% for n = 3, 94% for 4, 95% for 5, more beyond; with one
    session in ten far too slow, 95%. So three sessions promise a little less than they say when latencies
    are skewed, and five keep it. It says nothing of a disturbance that no session met, nor of sessions
    in quick succession that all met the same one: spread them in time where that matters.
    """
    n = len(session_medians)
    if n < LEAST_SESSIONS:
        raise FoxnasError(f"an upper bound needs at least {LEAST_SESSIONS} sessions, there are {n}")
    factor = float(stats.t.ppf(confidence, n - 1)) / math.sqrt(n)
    return mean(session_medians) + factor * stdev(session_medians)


def measure_models(
    device: Device,
    protocol: MeasurementProtocol,
    models: Mapping[str, bytes],
    sessions: int,
    rng: np.random.Generator,
    *,
    rounds: int = 3,
    pause_s: float = 0.0,
) -> tuple[dict[str, ModelLatency], dict[str, Any]]:
    """Return the latency of every model over separate sessions, and what is to be known about those.

    A session is a new runner process; in each, all models are timed `rounds` times, every round in a new
    random order, and a model's session median is the median of its rounds. Timings whose runs spread too
    much or were preempted are made again, as far as `protocol.max_attempts` allows; if they stay so, the median of all
    counts, with a warning. `pause_s` seconds pass between sessions.

    Raises
    ------
    FoxnasError
        When a model cannot be run (naming it), when there are fewer than three sessions, when the device
        is lost.
    """
    if sessions < LEAST_SESSIONS:
        raise FoxnasError(f"{device}: a promise needs at least {LEAST_SESSIONS} sessions, {sessions} are set")
    sampled: dict[str, list[list[_Row]]] = {name: [] for name in models}
    info: list[dict[str, Any]] = []

    progress = Progress(sessions * rounds * len(models), f"timings of {len(models)} models on {device.name}")

    def session() -> tuple[dict[str, list[_Row]], dict[str, Any], dict[str, Any]]:
        with Runner(device, protocol) as runner:
            before = len(info) * rounds * len(models)

            def heard(done: int, row: _Row) -> None:
                progress.reached(before + done, f"session {len(info) + 1} of {sessions}", condition(row))

            timed = _one_session(runner, models, rounds, rng, heard)
            hello = {name: value for name, value in runner.hello.items() if name not in ("type", "size", "state")}
            return (
                timed,
                {**hello, "state_before": runner.hello["state"], "state_after": runner.state()},
                runner.identity,
            )

    for number in range(1, sessions + 1):
        if number > 1 and pause_s:
            time.sleep(pause_s)
        timed, described, identity = persist(device, session, lambda: 0)
        for name, rows in timed.items():
            sampled[name].append(rows)
        info.append(described)
        progress.reached(number * rounds * len(models), condition(described["state_after"]))
    latencies = {
        name: ModelLatency(
            tuple(median(row["latency_ms"] for row in rows) for rows in of_model),
            peak_memory_mb=max(
                (row["peak_memory_mb"] for rows in of_model for row in rows if row["peak_memory_mb"]), default=None
            ),
            **{name: of_model[0][0].get(name) for name in FACTS},
        )
        for name, of_model in sampled.items()
    }
    return latencies, {"device": device.name, "identity": identity, "sessions": info}


def _one_session(
    runner: Runner,
    models: Mapping[str, bytes],
    rounds: int,
    rng: np.random.Generator,
    heard: Callable[[int, _Row], None],
) -> dict[str, list[_Row]]:
    """Return the timings to believe of every model; `heard` learns of each with how many of them there were before."""
    protocol = runner.protocol
    calm: dict[str, list[_Row]] = {name: [] for name in models}
    every: dict[str, list[_Row]] = {name: [] for name in models}
    for _ in range(max(rounds, protocol.max_attempts)):
        todo = [name for name in models if len(calm[name]) < rounds]
        for name in (todo[i] for i in rng.permutation(len(todo))):
            row = runner.measure(name, models[name])
            if "error" in row:
                raise FoxnasError(f"{runner.device}: model {name} cannot be run: {row['error']}")
            heard(sum(map(len, calm.values())), row)
            every[name].append(row)
            if not verdict(row, 0.0, protocol)[0]:
                calm[name].append(row)
    for name in models:
        if len(calm[name]) < rounds:
            _log.warning("%s: model %s was disturbed in %d of %d timings; all of them count", runner.device, name,
                         len(every[name]) - len(calm[name]), len(every[name]))  # fmt: skip
    return {name: calm[name] if len(calm[name]) == rounds else every[name] for name in models}
