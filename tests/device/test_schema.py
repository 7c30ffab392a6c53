"""What a device answers is held to the possible before it is written down: hostile and broken words, one at a time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foxnas.device import retrying
from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.schema import checked_hello, checked_opened, checked_row, checked_state
from foxnas.device.session import measure_probes
from foxnas.device.text import printable
from foxnas.device.transport import Device, DeviceLost, Implausible
from foxnas.errors import FoxnasError
from foxnas.files.journal import Journal
from tests.support.bad_answers import HELLO, HELLOS, HOSTILE, LINES, MODELS, NEEDED, OPENED, PAGE, ROW, page
from tests.support.fake_answers import framed
from tests.support.fake_device import ONCE, FakeDeviceStream, FakeTransport, probes, run


def test_honest_words_are_taken_as_they_are() -> None:
    assert checked_row(ROW, 60, 70.0) == ROW
    assert checked_row({"error": "RuntimeError: no such operator", "size": 0}, 60, 1.0) == {
        "error": "RuntimeError: no such operator"
    }
    assert checked_hello({**HELLO, "type": "hello"}) == HELLO
    assert checked_opened(OPENED) == OPENED
    switched_off = {"clock_mhz": 0.0, "temperature_c": -274.0, "energy_mj": -0.5, "throttled": None}
    assert checked_row({**ROW, **switched_off}, 60, 70.0) == {**ROW, **switched_off}
    assert checked_state({"load": 0, "more": 1}) == {"load": 0}


@pytest.mark.parametrize(("name", "value"), HOSTILE, ids=lambda value: str(value)[:20])
def test_an_impossible_timing_is_refused_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(Implausible) as refusal:
        checked_row({**ROW, name: value}, 60, 70.0)
    assert len(str(refusal.value)) < 300
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("missing", NEEDED)
def test_a_timing_without_a_field_is_refused(missing: str) -> None:
    with pytest.raises(Implausible, match=missing):
        checked_row({name: value for name, value in ROW.items() if name != missing}, 60, 70.0)


@pytest.mark.parametrize("change", HELLOS, ids=str)
def test_an_impossible_greeting_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Implausible):
        checked_hello({**HELLO, **change})


@pytest.mark.parametrize("change", MODELS, ids=str)
def test_an_impossible_model_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Implausible):
        checked_opened({**OPENED, **change})


def test_a_latency_below_the_clocks_grain_or_beyond_the_wait_is_refused() -> None:
    quick = {**ROW, "latency_ms": 0.001, "p10_ms": 0.001, "p90_ms": 0.001}
    assert checked_row(quick, 1000, 70.0)
    with pytest.raises(Implausible, match="less than its clock can tell"):
        checked_row(quick, 1001, 70.0)
    slow = {**ROW, "latency_ms": 100.0, "p10_ms": 100.0, "p90_ms": 100.0, "device_ms": 0}
    assert checked_row(slow, 60, 5000.0)
    with pytest.raises(Implausible, match=r"50 runs of 100 ms, at least 4500 ms in all, within 3000 ms"):
        checked_row(slow, 60, 3000.0)


def test_a_devices_text_is_one_line_without_escapes() -> None:
    assert printable("a\r\nb\x1b[2J\x07\u202ec\0 d") == "a b [2J c d"
    assert len(printable("x" * 10**7)) < 700
    assert checked_hello({**HELLO, "runtime_version": "2.3\x1b[31m" + "9" * 10**6})["runtime_version"].isprintable()


@dataclass
class FakeLiarStream(FakeDeviceStream):
    """A fake device one of whose answers to a measurement is made up, byte by byte."""

    lie: Any = None
    always: bool = False

    def send(self, data: bytes, timeout_s: float) -> None:
        self.frames.feed(data)
        while frame := self.frames.next_frame():
            answer = self.answer(*frame)
            if answer["type"] == "result" and (len(self.log) == 8 or self.always):
                answer = self.lie if isinstance(self.lie, bytes) else {**answer, **self.lie}
            text = answer if isinstance(answer, bytes) else json.dumps({**answer, "size": 0}).encode()
            self.answers += framed(text)


@dataclass
class FakeLiar(FakeTransport):
    """As many sessions as wanted lie, the later ones do not."""

    lie: Any = None
    lies: int = 100
    always: bool = False
    sessions: list[int] = field(default_factory=list)

    def start(self) -> FakeDeviceStream:
        self.sessions.append(len(self.log))
        kind = FakeLiarStream if len(self.sessions) <= self.lies else FakeDeviceStream
        more = {"lie": self.lie, "always": self.always} if kind is FakeLiarStream else {}
        return kind(self.latency_ms, self.spread, self.preempted, self.cpu, self.log, **more)


@pytest.mark.parametrize("lie", [*({name: value} for name, value in HOSTILE), *LINES], ids=lambda lie: str(lie)[:40])
def test_a_lie_ends_the_session_with_one_sentence_and_is_never_journalled(lie: Any, tmp_path: Path) -> None:
    """And an honest device that comes back continues from what the journal holds."""
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(FoxnasError) as refusal:
        run(FakeLiar(lie=lie), ONCE, journal)
    said = str(refusal.value)
    assert "device bench" in said
    assert len(said) < 1500
    assert said.isprintable()
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sum(line["kind"] in ("probe", "reference") for line in lines) == 7
    table, _ = run(FakeTransport(), ONCE, journal)
    assert table["usable"].all()
    assert (table["latency_ms"] == 1.0).all()


@pytest.mark.parametrize("kind", ["probe", "reference"])
@pytest.mark.parametrize("latency_ms", [0, None, "1.0", -1, 1e-300])
def test_a_lie_in_an_old_journal_is_passed_over(kind: str, latency_ms: Any, tmp_path: Path) -> None:
    """Versions before the schema wrote them down."""
    path = tmp_path / "journal.jsonl"
    run(FakeTransport(), ONCE, path)
    key = json.loads(path.read_text().splitlines()[0])["key"]
    with Journal(path, key) as book:
        book.append({"kind": kind, "id": "p03", "row": {**ROW, "latency_ms": latency_ms}})
    table, info = run(FakeTransport(), ONCE, path, n=21)
    assert table["usable"].all()
    assert (table["latency_ms"] == 1.0).all()
    assert all(one == 1.0 for session in info["sessions"] for one in session["references_ms"])


def test_lies_are_counted_and_a_device_that_only_lies_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(retrying.time, "sleep", lambda _: None)
    patient = partial(Device, "bench", away_s=1000.0)
    asked = probes(20), b"reference", tmp_path / "journal.jsonl", np.random.default_rng(0)
    liar = FakeLiar(lie={"latency_ms": -1}, lies=1)
    assert measure_probes(patient(liar), ONCE, *asked)[0]["usable"].all()
    assert len(liar.sessions) == 2
    every = FakeLiar(lie={"latency_ms": -1}, always=True)
    with pytest.raises(DeviceLost, match=r"latency_ms of -1.*Gave up after 5 attempts"):
        measure_probes(patient(every), ONCE, *asked[:2], tmp_path / "other.jsonl", asked[3])
    assert len(every.sessions) == 5


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        ("while :; do echo welcome; sleep 0.02; done", "silent for 1 s|no answer"),
        ("yes welcome", "more than 1048576 bytes before its first answer"),
        ("head -c 3000000 /dev/zero; sleep 9", "a line of more than 1048576 bytes"),
    ],
)
def test_an_endless_greeting_ends_in_time_and_in_bytes(greeting: str, said: str, tmp_path: Path) -> None:
    """Of a real process, in place of the runner's interpreter."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{greeting}\n")
    program.chmod(0o755)
    begun = time.monotonic()
    with (
        pytest.raises(DeviceLost, match=said),
        Runner(Device("bench", LocalTransport(str(program)), timeout_s=1), ONCE),
    ):
        pass
    assert time.monotonic() - begun < 30  # it was for ever


def test_the_page_says_what_each_bad_answer_gets() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.support.bad_answers"
    assert page().count("\n| ") > 70
