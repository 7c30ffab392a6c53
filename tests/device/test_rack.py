"""Several boards as one device: spread, lost, waited for; against fake boards whose latencies are known."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foxnas.device import rack as racks
from foxnas.device import retrying
from foxnas.device.acceptance import COLUMNS, judge
from foxnas.device.answers import predict_images
from foxnas.device.provisioning.installation import Readiness
from foxnas.device.provisioning.racks import provision_boards
from foxnas.device.provisioning.survey import Survey
from foxnas.device.rack import Board, Rack, RackDevice
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device, DeviceLost
from foxnas.device.whole_models import measure_models
from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.runner.lock import lock_path
from foxnas.space.pooling import gather
from tests.support.fake_device import MODEL, ONCE, QUICK, FakeTransport, probes
from tests.support.fake_rack import (
    COMPARING,
    REFERENCE,
    FakeBoard,
    boards,
    check,
    fake_rack,
    latency_ms,
    measure,
    numbered,
    of,
)


def test_four_jobs_share_four_boards_and_the_busiest_makes_a_quarter_of_the_timings(
    tmp_path: Path, record: Path
) -> None:
    """Their sessions overlap: each waits, at its first probe, for all others to be there."""
    slowness = (1.0, 1.03, 0.98, 1.05)
    device = fake_rack(record, boards(*slowness))
    alone = fake_rack(tmp_path / "alone.jsonl", boards(1.0))
    together = threading.Barrier(4, timeout=60)

    def job(shard: int) -> pd.DataFrame:
        # As processes have it: the boards are shared, and what a job knows of them is its own.
        own = dataclasses.replace(device, rack=dataclasses.replace(device.rack))
        made = numbered(shard, 100, lambda i: together.wait() if i == 0 else None)
        return measure(own, tmp_path / f"j{shard}", made)[0]

    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(job, range(4)))
    for shard in range(4):
        measure(alone, tmp_path / f"alone{shard}", numbered(shard, 100))
    table = pd.concat(tables)
    assert len(set(table["id"])) == len(table) == 400
    assert sorted(Counter(table["board"]).values()) == [100] * 4
    check(table, dict(zip(["pi4-a", "pi4-b", "pi4-c", "pi4-d"], slowness, strict=True)))
    assert max(len(board.log) for board in of(device)) <= 0.3 * len(of(alone)[0].log)


def test_forty_faults_lose_no_probe_and_count_none_twice(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them: a board that is lost for good, one that becomes 30% slow, one that goes and comes back."""
    for name, value in (("FIRST_OUT_S", 0.01), ("LONGEST_OUT_S", 0.2), ("_POLL_S", 0.005)):
        monkeypatch.setattr(racks, name, value)
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)
    fakes = boards(1.0, 1.02, 1.04, 0.99)
    device = fake_rack(record, fakes, away_s=60, busy_s=60)
    rng = np.random.default_rng(0)
    plan: dict[tuple[int, int], Callable[[], None]] = {}
    places = [(int(one) // 100, int(one) % 100) for one in rng.choice(400, 40, replace=False)]
    done: Counter[str] = Counter()

    def cut() -> None:
        done["cut"] += 1
        fakes[int(rng.integers(4))].cut = True

    def lose_for_good() -> None:
        done["lost for good"] += 1
        fakes[3].away = True

    def slow_down() -> None:
        done["slow"] += 1
        fakes[2].slowness = 1.3

    def go_and_come_back() -> None:
        done["came back"] += 1
        fakes[1].away = True
        threading.Timer(0.3, setattr, (fakes[1], "away", False)).start()

    for place, fault in zip(places, [lose_for_good, slow_down, go_and_come_back, *[cut] * 37], strict=True):
        plan[place] = fault

    def job(shard: int) -> pd.DataFrame:
        own = dataclasses.replace(device, rack=dataclasses.replace(device.rack, _out={}))
        made = numbered(shard, 100, lambda i: plan.pop((shard, i), lambda: None)())
        return measure(own, tmp_path / f"j{shard}", made)[0]

    with ThreadPoolExecutor(4) as pool:
        table = pd.concat(pool.map(job, range(4)))
    assert done == {"cut": 37, "lost for good": 1, "slow": 1, "came back": 1}
    assert len(table) == 400
    assert not table["id"].duplicated().any()
    assert table["usable"].all(), table.loc[~table["usable"], "reason"].tolist()
    assert table["latency_ms"].to_numpy() == pytest.approx([latency_ms(one) for one in table["id"]], rel=1e-9)
    assert (table["runs"] == 50).all(), "the latency is of one timing"
    for shard in range(4):
        records = [json.loads(line) for line in (tmp_path / f"j{shard}").read_text().splitlines()]
        believed = [
            sum(not attempt.problem for attempt in attempts)
            for attempts in judge(records, ONCE, baseline_ms=8.0).values()
        ]
        assert believed == [1] * 100, "a probe whose timing is believed was timed again"


def test_a_lost_board_hands_its_probes_over_at_once(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda s: pytest.fail(f"waited {s} s"))
    device = fake_rack(record, boards(1.0, 1.04))

    def lose(i: int) -> None:
        of(device)[0].away |= i == 7

    table, info = measure(device, tmp_path / "j", numbered(0, 20, lose))
    check(table, {"pi4-a": 1.0, "pi4-b": 1.04})
    assert Counter(table["board"]) == {"pi4-a": 5, "pi4-b": 15}, "no reference followed the two after these five"
    assert [session["probes"] for session in info["sessions"]] == [5, 15]
    assert (table["attempts"] == 1).all()


def test_what_no_reference_followed_is_timed_again(tmp_path: Path, record: Path) -> None:
    """A board becomes slow and is cut before a reference could show it; the next session is another board's."""
    fakes = boards(1.0, 1.04)
    device = fake_rack(record, fakes, away_s=60)

    def harm(i: int) -> None:
        if i == 6:  # a reference is timed before every fifth
            fakes[0].slowness = 1.3
        fakes[0].cut |= i == 9

    table, _ = measure(device, tmp_path / "j", numbered(0, 20, harm))
    check(table, {"pi4-a": 1.0, "pi4-b": 1.04})
    assert table["usable"].all()


def test_boards_that_are_all_away_are_waited_for(tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = boards(1.0, 1.04)
    device = fake_rack(record, fakes, away_s=100)
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        fakes[1].away = len(slept) < 4

    monkeypatch.setattr(retrying.time, "sleep", sleep)

    def lose(i: int) -> None:
        for fake in fakes:
            fake.away |= i == 3

    table, _ = measure(device, tmp_path / "j", numbered(0, 10, lose))
    assert Counter(table["board"]) == {"pi4-b": 10}, "no reference followed the first three"
    assert slept[:2] == [1.0, 2.0]
    for fake in fakes:
        fake.away = True
    monkeypatch.undo()
    with pytest.raises(DeviceLost, match=r"pi4-.: cannot be reached"):
        measure(dataclasses.replace(device, away_s=0.5), tmp_path / "k", numbered(0, 10))


def test_another_board_changes_nothing_that_was_measured(tmp_path: Path, record: Path) -> None:
    """A device that was alone becomes a rack, and a rack gets one more: journals go on, shards are joined."""
    single = Device("pi4", FakeTransport(latency_ms, machine="a"))
    before, info = measure(single, tmp_path / "j0", probes(20))
    write_table(tmp_path / "0.csv", before, {"identity": info["identity"]})
    for n in (1, 2, 3):
        device = fake_rack(record, boards(*[1.0, 1.05, 0.98][:n]), sampled=[info["identity"]])
        again, _ = measure(device, tmp_path / "j0", probes(20))
        assert again[list(COLUMNS)].equals(before)
        assert len(of(device)[0].log) == COMPARING
        table, joined = measure(device, tmp_path / f"j{n}", numbered(n, 20))
        write_table(tmp_path / f"{n}.csv", table, {"identity": joined["identity"]})
    together, _ = gather([tmp_path / f"{n}.csv" for n in range(4)], 80)
    assert together["latency_ms"].to_numpy() == pytest.approx([latency_ms(one) for one in together["id"]])


def test_sessions_of_a_model_take_turns_on_the_boards_and_each_says_which(tmp_path: Path, record: Path) -> None:
    device = fake_rack(record, boards(1.0, 1.04, 0.97))
    found, info = measure_models(device, ONCE, {"m": MODEL}, REFERENCE, 5, np.random.default_rng(0))
    assert found["m"].session_boards == ("pi4-a", "pi4-b", "pi4-c", "pi4-a", "pi4-b")
    assert found["m"].session_medians_ms == pytest.approx([latency_ms("m")] * 5)
    assert found["m"].to_json()["session_boards"] == found["m"].session_boards
    assert [session["board"]["host"] for session in info["sessions"]] == list(found["m"].session_boards)
    alone, _ = measure_models(
        Device("pi4", FakeTransport(latency_ms)), ONCE, {"m": MODEL}, REFERENCE, 3, np.random.default_rng(0)
    )
    assert "session_boards" not in alone["m"].to_json()


def test_boards_that_others_measure_on_are_waited_for_and_for_how_long(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racks, "_POLL_S", 0.01)
    device = fake_rack(record, boards(1.0), busy_s=0.05)
    own = dataclasses.replace(device, rack=dataclasses.replace(device.rack))
    with (
        device.rack.take(lambda: device.rack.boards),
        pytest.raises(FoxnasError, match="device pi4: other jobs still measure on all of its boards after 0 minutes"),
    ):
        measure(own, tmp_path / "j", probes(2))
    measure(own, tmp_path / "j", probes(2))


def test_a_model_that_kills_the_runner_is_no_reason_to_leave_a_board(
    tmp_path: Path, record: Path, here: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)

    def fatal() -> bytes:
        os.kill(int(re.search(r"process (\d+) since", lock_path(here.lock).read_text())[1]), signal.SIGSEGV)  # type: ignore[index]
        return MODEL

    made = [*probes(2), ("bad", "arch bad", fatal)]
    patient, protocol = dataclasses.replace(here, away_s=60), dataclasses.replace(QUICK, max_attempts=2)
    device = RackDevice(
        **vars(patient), rack=Rack([Board("here", patient, here.lock)], record, 50.0, lambda: {"only": MODEL})
    )
    table, _ = measure_probes(device, protocol, made, MODEL, tmp_path / "j", np.random.default_rng(0))
    assert table["usable"].tolist() == [True, True, False]
    assert table.loc[2, "reason"] == "cannot be run: the runner was killed by SIGSEGV"
    assert table["board"].tolist()[:2] == ["here"] * 2
    assert "passed over" not in caplog.text


@pytest.mark.parametrize("rubbish", [True, False], ids=["rubbish", "cut off"])
def test_a_model_that_no_board_survives_ends_the_job(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch, rubbish: bool
) -> None:
    """The boards would hand it to each other for ever: each is back before the other's session has come that far."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(retrying.time, "monotonic", lambda: now)
    monkeypatch.setattr(retrying.time, "sleep", sleep)
    asked: list[FakeBoard] = []

    def board(slowness: float) -> FakeBoard:
        fake = FakeBoard(slowness=slowness)

        def takes_ms(identifier: str, timings: int) -> float:
            sleep(1.0)
            if identifier != "bad":
                return latency_ms(identifier)
            asked.append(fake)
            if len(asked) > 50:
                pytest.fail("the boards hand the model to each other without end")
            fake.cut = not rubbish
            return -1.0 if rubbish else 5.0

        fake.latency_ms = takes_ms
        return fake

    device = fake_rack(record, [board(1.0), board(1.04)], away_s=600)
    with pytest.raises(DeviceLost, match=r"Gave up after \d+ attempts.*What was measured is kept"):
        measure(device, tmp_path / "j", [*probes(4), ("bad", "arch bad", lambda: MODEL)])


def test_answers_say_which_boards_gave_them(tmp_path: Path, record: Path, here: Device) -> None:
    names = ("pi4-a", "pi4-b")
    rack = Rack([Board(name, here, f"{here.lock}-{name}") for name in names], record, 0.1, dict)
    device = RackDevice(**vars(here), rack=rack)
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), np.uint8)
    seen = [predict_images(device, QUICK, MODEL, images, tmp_path / f"{n}") for n in range(2)]
    assert [one.boards for one in seen] == [("pi4-a",), ("pi4-b",)]
    assert seen[0].classes.tolist() == seen[1].classes.tolist()
    assert predict_images(here, QUICK, MODEL, images, tmp_path / "alone").boards == ()


def readiness(**identity: Any) -> Readiness:
    nothing = Survey("Linux", "aarch64", "", "", "pi", (), False, True, None, None, True, ())
    return Readiness(nothing, (), False, (), {"cpu": "Cortex-A72", "kernel": "6.1", **identity})


def test_every_board_is_made_ready_and_one_that_is_away_is_left_for_later(
    record: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = fake_rack(record, boards(1.0, 1.0, 1.0))

    def prepare(one: Device) -> Readiness:
        if one.transport.host == "pi4-a":
            raise DeviceLost("pi4-a: cannot be reached")
        return readiness(machine=one.transport.host)

    assert list(provision_boards(device.rack, prepare)) == ["pi4-b", "pi4-c"]
    assert "pi4-a: cannot be reached. Board pi4-a is left out for now" in caplog.text
    assert "machine-id" not in caplog.text
    provision_boards(device.rack, lambda one: readiness(machine="twin"))
    assert "boards pi4-a and pi4-b have the same /etc/machine-id" in caplog.text

    def away(one: Device) -> Readiness:
        raise DeviceLost(f"{one.transport.host}: cannot be reached")

    with pytest.raises(DeviceLost, match="pi4-a: cannot be reached"):
        provision_boards(device.rack, away)


def test_boards_of_two_kinds_are_no_rack(record: Path) -> None:
    device = fake_rack(record, boards(1.0, 1.0))

    def prepare(one: Device) -> Readiness:
        return readiness(machine=one.transport.host, kernel="6.1" if one.transport.host == "pi4-a" else "6.8")

    with pytest.raises(FoxnasError) as caught:
        provision_boards(device.rack, prepare)
    assert str(caught.value) == (
        'device pi4: board pi4-b is not of the kind of board pi4-a: kernel "6.1" -> "6.8"; boards of one device must '
        "be alike: give it a device of its own"
    )
