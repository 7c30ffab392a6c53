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
from scipy import special  # stats takes half a second to import

from foxnas.device.acceptance import FACTS
from foxnas.device.model_session import ModelSession, time_session
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.rack import open_session
from foxnas.device.retrying import persist
from foxnas.device.status_line import condition
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from foxnas.files.progress import Progress

_log = logging.getLogger(__name__)
LEAST_SESSIONS = 3


@dataclass(frozen=True)
class ModelLatency:
    """One model's latency on one device.

    Parameters
    ----------
    session_medians_ms
        One value an undisturbed session, in the order of time; each session a runner process of its own. Where fewer
        than three were undisturbed, one value of every session.
    reference_medians_ms
        The reference model's median in each of these.
    sessions_redone
        Number, from 1, and reason of each session that was disturbed and does not count.
    disturbed
        Whether too few sessions were undisturbed, so that all of them count.
    fallback_operators
        Operators outside the delegate; None where the runtime does not tell.
    peak_memory_mb
        The most memory the runner's process held in any session, in MiB.
    batch, dtype, signedness, io_dtype, executor
        Images at once, types of the arithmetic and at the ends, and what runs it; see `judging.FACTS`.
    session_boards
        The board of each of these sessions, where the device is a rack.
    """

    session_medians_ms: tuple[float, ...]
    reference_medians_ms: tuple[float, ...] = ()
    sessions_redone: tuple[dict[str, Any], ...] = ()
    disturbed: bool = False
    fallback_operators: int | None = None
    peak_memory_mb: float | None = None
    batch: int | None = None
    dtype: str | None = None
    signedness: str | None = None
    io_dtype: str | None = None
    executor: str | None = None
    session_boards: tuple[str, ...] = ()

    @property
    def median_ms(self) -> float:
        """The median over sessions."""
        return median(self.session_medians_ms)

    @property
    def upper_ms(self) -> float:
        """Upper 95% confidence bound of the mean over sessions; see `upper_bound`."""
        return upper_bound(self.session_medians_ms)

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict, with both."""
        told = asdict(self)
        if not self.session_boards:
            del told["session_boards"]
        return {**told, "median_ms": self.median_ms, "upper_ms": self.upper_ms}


def upper_bound(session_medians: Sequence[float], confidence: float = 0.95) -> float:
    """Return the one-sided upper confidence bound of the session medians' mean: mean + t(confidence, n-1) s / sqrt(n).

    Candidates are chosen by it, after a few sessions each; a promise is decided by `foxnas.verdict.decision`.
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
    factor = float(special.stdtrit(n - 1, confidence)) / math.sqrt(n)
    return mean(session_medians) + factor * stdev(session_medians)


def measure_models(
    device: Device,
    protocol: MeasurementProtocol,
    models: Mapping[str, bytes],
    reference: bytes,
    sessions: int,
    rng: np.random.Generator,
    *,
    rounds: int = 3,
    baseline_ms: float | None = None,
    most_sessions: int | None = None,
    spread_s: float = 0.0,
    enough: Callable[[ModelLatency], bool] = lambda latency: True,
) -> tuple[dict[str, ModelLatency], dict[str, Any]]:
    """Return the latency of every model over separate sessions, and what is to be known about those.

    A session is a new runner process; in each, all models are timed `rounds` times, every round in a new random order,
    the reference model before the first, between, and after the last. A model's session median is the median of its
    rounds. A session that was disturbed for a model does not count for it: it is listed with the reason, and made
    again. A model that has enough takes no part in later sessions.

    Parameters
    ----------
    reference
        A model that never changes for this device, as `measure_probes` has.
    sessions
        Undisturbed ones that each model needs at least.
    baseline_ms
        What the reference usually takes, which drift is relative to; None takes the median of all sessions' references.
    most_sessions
        The most, disturbed ones included; None: twice as many as `sessions`.
    spread_s
        Between the starts of two sessions, so that they do not all meet the same disturbance. What a session takes
        counts, so long ones are not kept waiting.
    enough
        Whether what was found of a model will do, asked after every session once it has the least.

    Raises
    ------
    FoxnasError
        When a model cannot be run (naming it), when there are fewer than three sessions, when the device
        is lost.
    """
    if sessions < LEAST_SESSIONS:
        raise FoxnasError(f"{device}: a promise needs at least {LEAST_SESSIONS} sessions, {sessions} are set")
    most, made = max(most_sessions or 2 * sessions, sessions), list[ModelSession]()
    info: list[dict[str, Any]] = []
    found: dict[str, ModelLatency] = {}
    todo = list(models)
    progress = Progress(sessions * rounds * len(models), f"timings of {len(models)} models on {device.name}")

    def session() -> tuple[ModelSession, dict[str, Any], dict[str, Any]]:
        before = min(len(made), sessions) * rounds * len(models)

        def heard(done: int, row: dict[str, Any]) -> None:
            progress.reached(before + done, f"session {len(made) + 1}, at most {most}", condition(row))

        return one_session(device, protocol, models, todo, reference, rounds, rng, heard)

    began = -math.inf
    while todo and len(made) < most:
        time.sleep(max(began + spread_s - time.monotonic(), 0.0))
        began = time.monotonic()
        timed, described, identity = persist(device, session, lambda: 0)
        made.append(timed)
        info.append(described)
        usual = baseline_ms or median(one.reference_ms for one in made)
        found |= {name: latency_over(name, made, protocol, usual) for name in todo}
        todo = [
            name
            for name in todo
            if found[name].disturbed or len(found[name].session_medians_ms) < sessions or not enough(found[name])
        ]
        progress.reached(min(len(made), sessions) * rounds * len(models), condition(described["state_after"]))
    for name, latency in found.items():
        if latency.disturbed:
            _log.warning("%s: model %s was disturbed in %d of %d sessions; all of them count, last: %s", device, name,
                         len(latency.sessions_redone), len(latency.session_medians_ms),
                         latency.sessions_redone[-1]["reason"])  # fmt: skip
        elif latency.sessions_redone:
            _log.info("%s: %d disturbed sessions of model %s do not count", device, len(latency.sessions_redone), name)
    return found, {"device": device.name, "identity": identity, "baseline_ms": baseline_ms, "sessions": info}


def one_session(
    device: Device,
    protocol: MeasurementProtocol,
    models: Mapping[str, bytes],
    names: Sequence[str],
    reference: bytes,
    rounds: int,
    rng: np.random.Generator,
    heard: Callable[[int, dict[str, Any]], None],
) -> tuple[ModelSession, dict[str, Any], dict[str, Any]]:
    """Return a new session of the models of these names, what is to be known about it, and the device's identity.

    See `time_session`. Raises DeviceLost when the device goes away meanwhile: nothing of that session is kept.
    """
    with open_session(device, protocol, compared=True) as runner:
        timed = time_session(runner, models, names, reference, rounds, rng, heard)
        hello = {name: value for name, value in runner.hello.items() if name not in ("type", "size", "state")}
        info = {**hello, "state_before": runner.hello["state"], "state_after": runner.state()}
        return timed, {**info, "references_ms": [row["latency_ms"] for row in timed.references]}, runner.identity


def latency_over(
    name: str, made: Sequence[ModelSession], protocol: MeasurementProtocol, usual_ms: float
) -> ModelLatency:
    """Return what the sessions that timed a model say of it."""
    timed = [(number, one) for number, one in enumerate(made, 1) if name in one.timings]
    reasons = {number: one.disturbance(name, protocol, usual_ms) for number, one in timed}
    calm = [one for number, one in timed if not reasons[number]]
    believed = calm if len(calm) >= LEAST_SESSIONS else [one for _, one in timed]
    rows = [row for one in believed for row in one.timings[name]]
    return ModelLatency(
        tuple(median(row["latency_ms"] for row in one.timings[name]) for one in believed),
        tuple(one.reference_ms for one in believed),
        tuple({"session": number, "reason": reason} for number, reason in reasons.items() if reason),
        disturbed=len(calm) < LEAST_SESSIONS,
        session_boards=tuple(one.board for one in believed if one.board),
        peak_memory_mb=max((mb for row in rows if (mb := row.get("peak_memory_mb"))), default=None),
        **{fact: rows[0].get(fact) for fact in FACTS},
    )
