"""How the boards of a rack are compared, and which are refused; against fake boards whose latencies are known."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from foxnas.device.acceptance import COLUMNS, RACK_COLUMNS
from foxnas.errors import FoxnasError
from tests.support.fake_device import probes
from tests.support.fake_rack import (
    COMPARING,
    FakeBoard,
    boards,
    check,
    fake_rack,
    latency_ms,
    measure,
    numbered,
    of,
)


def test_latencies_are_stated_as_the_first_boards_and_say_where_they_were_timed(tmp_path: Path, record: Path) -> None:
    device = fake_rack(record, boards(1.0, 1.04, 0.97))
    slowness = {"pi4-a": 1.0, "pi4-b": 1.04, "pi4-c": 0.97}
    for n, (board, factor) in enumerate(slowness.items()):
        table, info = measure(device, tmp_path / f"{n}", probes(10))
        assert tuple(table) == (*COLUMNS, *RACK_COLUMNS)
        assert set(table["board"]) == {board}
        check(table, slowness)
        (session,) = info["sessions"]
        assert session["board"]["host"] == board
        assert session["board"]["factor"] == pytest.approx(factor, rel=1e-12)
        assert session["references_ms"] == pytest.approx([8.0] * 3)
        assert info["identity"]["machine"] == "a"
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["board"] for line in lines] == list(slowness)
    assert [line["identity"]["machine"] for line in lines] == ["a", "b", "c"]
    assert lines[1]["took_ms"]["smallest"] == pytest.approx(2.08)


def test_a_factor_is_of_all_sessions_of_both_boards(tmp_path: Path, record: Path) -> None:
    """Each session's reference probes are off by a percent or two; the medians over sessions count."""
    first, second = boards(1.0, 1.0)
    device = fake_rack(record, [first, second])
    for n, (one, other) in enumerate([(1.00, 1.05), (1.02, 1.04), (0.99, 1.06)]):
        first.slowness, second.slowness = one, other
        measure(device, tmp_path / f"a{n}", probes(2))
        _, info = measure(device, tmp_path / f"b{n}", probes(2))
    assert info["sessions"][0]["board"]["factor"] == pytest.approx(1.05 / 1.00)


def test_nothing_is_compared_before_the_first_board_was_timed(tmp_path: Path, record: Path) -> None:
    """A job that comes meanwhile waits for the comparison alone, not for the other job's probes."""
    device = fake_rack(record, boards(1.0, 1.04))
    held, finished = threading.Event(), threading.Event()

    def hold(i: int) -> None:
        if i == 0:
            held.set()
            assert finished.wait(60), "the second job waited for all of the first one"

    def job(shard: int, during: Callable[[int], None]) -> pd.DataFrame:
        own = dataclasses.replace(device, rack=dataclasses.replace(device.rack))
        return measure(own, tmp_path / f"j{shard}", numbered(shard, 5, during))[0]

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(job, 0, hold)
        assert held.wait(60)
        assert set(job(1, lambda i: None)["board"]) == {"pi4-b"}
        finished.set()
        assert set(first.result()["board"]) == {"pi4-a"}


def test_jobs_of_other_sizes_compare_by_the_reference_probes_of_the_first_one(tmp_path: Path, record: Path) -> None:
    """So the first board need not be free for every size before others can be measured on."""
    device = fake_rack(record, boards(1.0, 1.04))
    measure(device, tmp_path / "0", probes(4))
    assert {path.name: path.read_bytes() for path in (record.parent / "probes-tflite").iterdir()} == {
        name: name.encode() for name in ("largest", "smallest", "random")
    }
    other = dataclasses.replace(device.rack, probes=lambda: pytest.fail("made anew"))
    with device.rack.take(lambda: device.rack.boards[:1]):
        table, _ = measure(dataclasses.replace(device, rack=other), tmp_path / "1", numbered(1, 4))
    assert set(table["board"]) == {"pi4-b"}
    assert sorted({line for line in of(device)[1].log if "reference probe" in line}) == [
        f"reference probe {name}" for name in ("largest", "random", "smallest")
    ]


def test_edited_code_has_reference_probes_of_its_own(tmp_path: Path, record: Path) -> None:
    """It may write another form; a board is compared with what the first one took for the same."""
    device = fake_rack(record, boards(1.0, 1.04))
    for n, code in enumerate(["before", "edited", "edited"]):
        probes_of = {name: f"{name} {code}".encode() for name in ("largest", "smallest", "random")}
        own = dataclasses.replace(device.rack, code=code, probes=lambda made=probes_of: made)
        table, _ = measure(dataclasses.replace(device, rack=own), tmp_path / f"{n}", probes(4))
        assert set(table["board"]) == {"pi4-a"}
        kept = record.parent / f"probes-tflite-{code}"
        assert {path.name: path.read_bytes() for path in kept.iterdir()} == probes_of
    assert [json.loads(line)["code"] for line in record.read_text().splitlines()] == ["before", "edited", "edited"]


def test_a_board_that_differs_too_much_is_refused_by_name(
    tmp_path: Path, record: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = fake_rack(record, boards(1.0, 1.3, 0.85, 1.09))
    for n in range(4):
        measure(device, tmp_path / f"{n}", probes(4))
    refused = [line for line in caplog.messages if "max_board_difference" in line]
    assert [line.split(",")[0] for line in refused] == [
        "board pi4-b: its reference probes take 30.0% more time than they should beside board pi4-a",
        "board pi4-c: its reference probes take 15.0% less time than they should beside board pi4-a",
    ]
    assert [len(board.log) > COMPARING for board in of(device)] == [True, False, False, True]
    assert [json.loads(line)["board"] for line in record.read_text().splitlines()] == ["pi4-a", "pi4-d"] * 2


def test_a_rack_whose_boards_are_all_refused_ends_in_one_sentence(tmp_path: Path, record: Path) -> None:
    fakes = boards(1.0, 1.05)
    device = fake_rack(record, fakes, away_s=1000)
    measure(device, tmp_path / "0", probes(2))
    for fake in fakes:
        fake.slowness = 1.5
    with pytest.raises(
        FoxnasError, match=r"device pi4: no board is left: .*pi4-b: .* 50.0% more.*; .*pi4-a: "
    ) as caught:
        measure(device, tmp_path / "1", probes(2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": "another"}, r'CPU "fake" -> "another"'),
        ({"kernel": "6.8"}, r'kernel "6.1" -> "6.8"'),
        ({"governor": "powersave"}, r'governor null -> "powersave"'),
    ],
    ids=["cpu", "kernel", "governor"],
)
def test_a_board_of_another_kind_is_refused_by_name(
    tmp_path: Path, record: Path, caplog: pytest.LogCaptureFixture, change: dict[str, str], said: str
) -> None:
    device = fake_rack(record, [*boards(1.0), FakeBoard(latency_ms, **change)])
    for n in range(2):
        table, _ = measure(device, tmp_path / f"{n}", probes(4))
        assert set(table["board"]) == {"pi4-a"}
    assert f"board pi4-b: is not of the kind of board pi4-a: {said}; boards of one device must be alike" in caplog.text


def test_a_board_that_slows_down_before_its_first_reference_is_refused(tmp_path: Path, record: Path) -> None:
    """All later references would be as slow as the first, and the comparison before it says nothing of that."""
    fakes = boards(1.0, 1.04)
    device = fake_rack(record, fakes, away_s=60)
    measure(device, tmp_path / "0", numbered(0, 5))
    compared: list[str] = []

    def slow_once_compared(identifier: str, now: int = 0) -> float:
        compared.append(identifier)
        if len(compared) == COMPARING:
            fakes[1].slowness = 1.3  # of the next
        return latency_ms(identifier)

    fakes[1].latency_ms = slow_once_compared
    table, _ = measure(device, tmp_path / "1", numbered(1, 20))
    check(table, {"pi4-a": 1.0, "pi4-b": 1.04})
    assert set(table["board"]) == {"pi4-a"}


@pytest.mark.parametrize(("at", "timings"), [(12, [15, 30]), (2, [5, 40])])
def test_a_board_that_becomes_slow_is_left_and_what_it_timed_meanwhile_is_timed_again(
    tmp_path: Path, record: Path, caplog: pytest.LogCaptureFixture, at: int, timings: list[int]
) -> None:
    fakes = boards(1.0, 1.04)
    device = fake_rack(record, fakes)

    def slow(i: int) -> None:
        fakes[0].slowness = 1.3 if i >= at else 1.0

    table, info = measure(device, tmp_path / "j", numbered(0, 40, slow))
    check(table, {"pi4-a": 1.0, "pi4-b": 1.04})
    assert table["usable"].all()
    assert Counter(table["attempts"]) == {1: 35, 2: 5}
    assert [session["timings"] for session in info["sessions"]] == timings
    assert "board pi4-a: its reference probes take 30.0% more time" in caplog.text


def test_a_single_disturbed_reference_does_not_drive_a_session_away(tmp_path: Path, record: Path) -> None:
    board = FakeBoard(lambda identifier, now: latency_ms(identifier) * (1.5 if now == COMPARING + 6 else 1))
    table, info = measure(fake_rack(record, [board]), tmp_path / "j", probes(20))
    assert len(info["sessions"]) == 1
    assert table["usable"].all()


def test_a_first_reference_that_was_disturbed_does_not_make_the_others_look_fast(tmp_path: Path, record: Path) -> None:
    board = FakeBoard(lambda identifier, now: latency_ms(identifier) * (1.5 if now == COMPARING else 1))
    table, info = measure(fake_rack(record, [board]), tmp_path / "j", probes(20))
    assert len(info["sessions"]) == 1
    assert table["usable"].all()


def test_a_board_that_was_exchanged_behind_its_name_is_compared_anew(
    tmp_path: Path, record: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fakes = boards(1.0, 1.05)
    device = fake_rack(record, fakes)
    for n in range(2):
        measure(device, tmp_path / f"{n}", probes(2))
    fakes[1].slowness, fakes[1].machine = 0.95, "another"
    measure(device, tmp_path / "2", probes(2))
    table, info = measure(device, tmp_path / "3", probes(2))
    assert info["sessions"][0]["board"]["factor"] == pytest.approx(0.95)
    check(table, {"pi4-b": 0.95})
    fakes[0].machine = "another first"
    sampled = dataclasses.replace(device, sampled=[info["identity"]])
    assert set(measure(sampled, tmp_path / "4", probes(2))[0]["board"]) == {"pi4-b"}
    said = 'this device is not the one that its sample was measured on: machine "a" -> "another first"'
    assert f"device pi4: {said}" in caplog.text
