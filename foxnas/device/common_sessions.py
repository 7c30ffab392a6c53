"""Sessions that many models share; who takes part is asked before each, and each is kept as soon as it is made."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np

from foxnas.device.model_session import ModelSession
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.retrying import persist
from foxnas.device.status_line import condition
from foxnas.device.transport import Device
from foxnas.device.whole_models import ModelLatency, latency_over, one_session
from foxnas.files.journal import as_text
from foxnas.files.progress import Progress, duration

_log = logging.getLogger(__name__)

#: Timings of each model in a session.
ROUNDS = 3

#: Share of the time between the starts of two sessions that a session takes at most with models that can wait: its
#: references judge all of them and have to lie near.
FREE_SHARE = 0.5


@dataclass(frozen=True)
class CommonSession:
    """One session, as journals keep it.

    Parameters
    ----------
    uid
        The same in every journal that has the session.
    started
        In UTC, as text that sorts by time.
    seconds
        From its start to its end, that of its runner process included.
    timed
        What was timed, by the models' names.
    info
        What is to be known about it; see `one_session`.
    """

    uid: str
    started: str
    seconds: float
    timed: ModelSession
    info: Mapping[str, Any]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> CommonSession:
        """Return the session that `to_json` told of."""
        timed = ModelSession.from_json(told["timed"])
        return cls(told["uid"], told["started"], told["seconds"], timed, told["info"])

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return {**vars(self), "timed": self.timed.to_json()}

    @property
    def models(self) -> Collection[str]:
        """The names of the models that took part."""
        return self.timed.timings.keys()


def in_order(sessions: Iterable[CommonSession]) -> list[CommonSession]:
    """Return the sessions of several journals in the order of time, each once."""
    return sorted({one.uid: one for one in sessions}.values(), key=lambda one: (one.started, one.uid))


def latency_in(
    name: str, sessions: Sequence[CommonSession], protocol: MeasurementProtocol, baseline_ms: float | None
) -> ModelLatency:
    """Return what a model's own sessions say of it, numbered from 1: the same as if it had been alone in them."""
    timed = [one.timed for one in sessions]
    return latency_over(name, timed, protocol, baseline_ms or median(one.reference_ms for one in timed))


def room(sessions: Sequence[CommonSession], spread_s: float) -> int:
    """Return how many models the next session may have at no cost, in the time that would be waited anyhow.

    By what a timing took in the session before, its start included; none before there is one.
    """
    if not sessions:
        return 0
    last = sessions[-1]
    timings = len(last.timed.references) + sum(map(len, last.timed.timings.values()))
    left_s = FREE_SHARE * spread_s - last.seconds
    return max(len(last.models) + math.floor(left_s / (ROUNDS * last.seconds / timings)), 0)


def hold_sessions(
    device: Device,
    protocol: MeasurementProtocol,
    content: Callable[[str], bytes],
    reference: bytes,
    made: Sequence[CommonSession],
    next_models: Callable[[int], Sequence[str]],
    keep: Callable[[CommonSession], None],
    *,
    spread_s: float = 0.0,
) -> list[CommonSession]:
    """Return the sessions, with those that were `made` before, once no model takes part in a further one.

    Each is a new runner process, in which the models are timed `ROUNDS` times, every round in a new random order, with
    the reference model before the first, between, and after the last.

    Parameters
    ----------
    content
        Gives a model's bytes by its name, before the session.
    next_models
        Names who takes part in the next session, given the `room` in it; nobody ends them.
    keep
        Is given each session as soon as it is made.
    spread_s
        Between the starts of two sessions, so that they do not all meet the same disturbance.

    Raises
    ------
    FoxnasError
        When a model cannot be run (naming it), or the device is lost.
    """
    sessions, began = list(made), -math.inf
    while names := next_models(room(sessions, spread_s)):
        models = {name: content(name) for name in names}
        time.sleep(max(began + spread_s - time.monotonic(), 0.0))
        rng = np.random.default_rng([protocol.seed, len(sessions)])

        def session(
            models: Mapping[str, bytes] = models, rng: np.random.Generator = rng
        ) -> tuple[float, datetime, ModelSession, dict[str, Any]]:
            begun, now = time.monotonic(), datetime.now(UTC)
            noun = f"timings of {len(models)} models on {device.name} in session {len(sessions) + 1}"
            progress = Progress(ROUNDS * len(models), noun, within=True)

            def heard(done: int, row: dict[str, Any]) -> None:
                progress.reached(done, condition(row))

            return begun, now, *one_session(device, protocol, models, list(models), reference, ROUNDS, rng, heard)[:2]

        began, started, timed, info = persist(device, session, lambda: 0)
        sessions.append(
            CommonSession(
                uuid.uuid4().hex,
                as_text(started),
                round(time.monotonic() - began, 3),
                timed,
                {**info, "models": len(names)},
            )
        )
        keep(sessions[-1])
        told = f"session {len(sessions)}: {len(models)} models, {duration(sessions[-1].seconds)}"
        _log.info("%s", ", ".join(filter(None, [told, condition(info["state_after"])])))
    return sessions
