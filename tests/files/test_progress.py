"""What a long job says while it runs: whose line it is, how far, how fast, how long still, how the device does."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from foxnas.cli import job_name
from foxnas.device.status_line import condition
from foxnas.files.progress import Progress, duration, follow, interval_s, pace, waiting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
        (3599.6, "1 h 0 min"), (7620, "2 h 7 min"),
    ],
)  # fmt: skip
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_pace_is_told_by_what_reads_best() -> None:
    assert pace(42, 20.0) == "2.1/s"
    assert pace(9949.6, 1.0) == "9,950/s"
    assert pace(3, 45.0) == "15 s each"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose hands the test moves."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_progress_tells_count_rate_and_time_left(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(100, "probes on pi4", state=lambda: "62 °C")
    clock[0] += 2.0
    progress.reached(5)  # too early for a line
    clock[0] += 8.0
    progress.reached(37, "pass 1")
    clock[0] += 10.0
    progress.reached(100)
    assert caplog.messages == [
        "37/100 probes on pi4, 3.7/s, 17 s left, pass 1, 62 °C",
        "100/100 probes on pi4, 5/s, done in 20 s, 62 °C",
    ]


def test_short_steps_are_silent(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in follow(range(3), 3, "batches", within=True):
        clock[0] += 1.0
    for _ in follow(range(3), 3, "sessions"):
        clock[0] += 0.3
    assert caplog.messages == []
    for _ in follow(range(3), 3, "batches", within=True):
        clock[0] += 6.0
    assert caplog.messages == [
        "1/3 batches, 6.0 s each, 12 s left",
        "2/3 batches, 6.0 s each, 6.0 s left",
        "3/3 batches, 6.0 s each, done in 18 s",
    ]


def test_before_the_first_is_done_only_the_time_is_told(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(14, "timings")
    clock[0] += 7.0
    progress.reached(0, "session 1 of 5")
    assert caplog.messages == ["0/14 timings, 7.0 s so far, session 1 of 5"]


def test_lines_grow_rarer_so_that_a_night_stays_readable() -> None:
    assert [interval_s(spent) for spent in (0, 100, 600, 1200, 36000)] == [5, 5, 30, 60, 60]


def test_waiting_says_what_was_waited_for_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with waiting("fetching wheels"):
        pass
    assert caplog.messages == ["fetching wheels", "fetching wheels: done in 0.0 s"]
    with pytest.raises(RuntimeError), waiting("installing"):
        raise RuntimeError
    assert caplog.messages[-1] == "installing"


def test_a_device_is_described_by_what_it_reports() -> None:
    row = {"temperature_c": 62.3, "clock_mhz": 1500.0, "throttled": ""}
    assert condition(row, 0.012, 0.1) == "62 °C, 1500 MHz, reference +1.2%"
    assert condition(row | {"throttled": "under-voltage"}, 0.12, 0.1) == (
        "62 °C, 1500 MHz, the board reports: under-voltage, reference +12.0%, beyond 10%"
    )
    assert condition({"temperatures_c": {"a": 40.0, "b": 55.0}, "clock_mhz": None}) == "55 °C"
    assert condition({"error": "no such operator"}) == ""


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"subnets": Path("a.csv"), "table": Path("results/mini/16/accuracy.csv"), "threads": 2},
         "mini/16/accuracy"),
        ({"fits": [Path("/abs/results/mini/16/f.json"), Path("b")], "of": None}, "mini/16/f"),
        ({"page": Path("out/page.html"), "sizes": [16, 20]}, "out/page"),
    ],
)  # fmt: skip
def test_a_job_is_named_by_the_file_it_makes(arguments: dict[str, object], name: str) -> None:
    assert job_name("do", arguments) == f"do {name}"
    assert job_name("do", {"threads": 1}) == "do"
