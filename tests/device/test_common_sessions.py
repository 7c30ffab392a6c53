"""Common sessions on a device: what each model's say, kept as they are made, and how many fit into the wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.common_sessions import CommonSession, hold_sessions, in_order, latency_in, room
from foxnas.device.model_session import ModelSession
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.device.whole_models import measure_models
from foxnas.files.journal import Journal
from tests.support.fake_device import MODEL, FakeTransport

CALM = MeasurementProtocol()


def held(
    fake: FakeTransport, turns: Sequence[Sequence[str]], keep: Callable[[CommonSession], None] = lambda session: None
) -> list[CommonSession]:
    waiting = iter(turns)
    return hold_sessions(
        Device("bench", fake), CALM, lambda name: MODEL, MODEL, [], lambda room: next(waiting, []), keep
    )


def test_the_reference_comes_first_and_around_every_round_of_all_models() -> None:
    fake = FakeTransport()
    held(fake, [["a", "b"], ["b"]])
    rounds = [fake.log[i : i + 3] for i in range(0, 9, 3)]
    assert all(one[0] == "reference" and sorted(one[1:]) == ["a", "b"] for one in rounds)
    assert fake.log[9:] == ["reference", *["reference", "b"] * 3, "reference"]


@pytest.mark.parametrize("baseline_ms", [None, 1.0])
def test_a_models_own_sessions_say_what_they_say_of_it_alone(baseline_ms: float | None) -> None:
    """The second of its sessions at half the clock: number, reason and medians are those of `measure_models`."""

    def latency(identifier: str, now: int) -> float:
        return clock(now) * (3.0 if identifier == "m" else 1.0)

    alone = FakeTransport(latency)
    clock = lambda now: 2.0 if now // 7 == 1 else 1.0  # noqa: E731
    expected, info = measure_models(
        Device("bench", alone), CALM, {"m": MODEL}, MODEL, 5, np.random.default_rng(0), baseline_ms=baseline_ms
    )
    crowded = FakeTransport(latency)
    # Ten timings with another model, seven alone: m is in sessions 1, 3 to 7.
    starts = [0, 10, 17, 24, 31, 38, 45]
    clock = lambda now: 2.0 if starts[2] <= now < starts[3] else 1.0  # noqa: E731
    made = held(crowded, [["m", "o"], ["o"], *[["m"]] * 5])
    own = [one for one in made if "m" in one.models]
    assert latency_in("m", own, CALM, baseline_ms) == expected["m"]
    assert [one.info["references_ms"] for one in own] == [one["references_ms"] for one in info["sessions"]]


def test_a_session_is_the_same_after_a_journal(tmp_path: Path) -> None:
    fake = FakeTransport(lambda identifier, now: 1.0 + 0.001 * now)
    with Journal(tmp_path / "a.jsonl", {}) as one, Journal(tmp_path / "b.jsonl", {}) as other:

        def keep(session: CommonSession) -> None:
            one.append(session.to_json())
            if "b" in session.models:
                other.append(session.to_json())

        made = held(fake, [["a"], ["a", "b"], ["b"]], keep)
    with Journal(tmp_path / "b.jsonl", {}) as other, Journal(tmp_path / "a.jsonl", {}) as one:
        read = in_order(CommonSession.from_json(record) for book in (other, one) for record in book.records)
    assert read == [CommonSession.from_json(json.loads(json.dumps(session.to_json()))) for session in made]
    assert latency_in("b", read[1:], CALM, 1.0) == latency_in("b", made[1:], CALM, 1.0)


def test_a_session_has_room_for_what_fits_into_half_of_the_wait() -> None:
    row = {"latency_ms": 1.0}
    # Two models: four references and six timings in a second, so that three timings more take 0.3 s.
    timed = ModelSession({"a": [row] * 3, "b": [row] * 3}, {}, [row] * 4)
    session = CommonSession("u", "2026", 1.0, timed, {})
    assert room([session], 10.0) == 2 + 13
    assert room([session], 2.0) == 2
    assert room([session], 0.0) == 0
    assert room([], 10.0) == 0
