"""Passes, references, verdicts and the journal; against a fake device where the disturbance must be scripted."""

import dataclasses
import json
import os
import re
import signal

import numpy as np
import pytest

from foxnas.device import retrying
from foxnas.device.acceptance import COLUMNS
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device, DeviceLost
from foxnas.device.whole_models import measure_models
from foxnas.errors import FoxnasError
from foxnas.runner.lock import lock_path
from tests.support.fake_device import MODEL, ONCE, QUICK, FakeTransport, probes, run


def holder_pid(device):
    """Who holds the lock, read as those who wait for it read it."""
    return int(re.search(r"process (\d+) since", lock_path(device.lock).read_text())[1])


def test_order_is_random_reproducible_and_interleaved_with_references(tmp_path):
    orders = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fake = FakeTransport()
        table, _ = run(fake, dataclasses.replace(ONCE, repeats=2), tmp_path / name, seed=seed)
        assert list(table["id"]) == [f"p{i:02d}" for i in range(20)]
        orders.append(fake.log)
    assert orders[0] == orders[1] != orders[2]
    one_pass = ["reference" if i in (0, 6, 12, 18, 24) else "probe" for i in range(25)]
    assert ["reference" if i == "reference" else "probe" for i in orders[0]] == one_pass * 2
    first, second = ([i for i in part if i != "reference"] for part in (orders[0][:25], orders[0][25:]))
    assert sorted(first) == sorted(second) == [f"p{i:02d}" for i in range(20)]
    assert len({tuple(first), tuple(second), tuple(sorted(first))}) == 3


def test_probes_timed_while_the_machine_was_slow_are_timed_again(tmp_path):
    def latency(identifier, now):
        return (2.0 if identifier == "reference" else 1.0) * (1.3 if 12 <= now < 25 else 1.0)

    fake = FakeTransport(latency)
    table, info = run(fake, ONCE, tmp_path / "j", n=40)
    assert table["usable"].all()
    assert table["latency_ms"].tolist() == [1.0] * 40
    slow = {identifier for identifier in fake.log[12:25] if identifier != "reference"}
    assert slow <= set(table.loc[table["attempts"] == 2, "id"])
    assert info["baseline_ms"] == 2.0


def test_a_single_disturbed_reference_condemns_nobody(tmp_path):
    fake = FakeTransport(lambda identifier, now: 1.5 if now == 12 else 1.0)
    table, _ = run(fake, ONCE, tmp_path / "j", n=40)
    assert table["usable"].all()
    assert (table["attempts"] == 1).all()


def test_a_given_baseline_shows_a_machine_that_is_slow_throughout(tmp_path):
    table, _ = run(FakeTransport(), ONCE, tmp_path / "j", baseline_ms=0.8)
    assert not table["usable"].any()
    assert table["drift_percent"].to_numpy() == pytest.approx(25.0)
    assert table["reason"].str.contains(r"references drifted by \+25.0% \(limit 10%\)").all()
    assert (table["attempts"] == ONCE.max_attempts).all()


def test_a_probe_that_stays_noisy_is_kept_and_flagged(tmp_path):
    fake = FakeTransport(spread=lambda identifier: 0.2 if identifier == "p07" else 0.01)
    table, info = run(fake, ONCE, tmp_path / "j")
    row = table.set_index("id").loc["p07"]
    assert (row["usable"], row["attempts"]) == (False, 3)
    assert row["reason"] == "runs spread by 20.0% (limit 10%)"
    assert row["latency_ms"] == 1.0
    assert table["usable"].sum() == 19
    assert info["flagged"] == 1
    assert fake.log.count("p07") == 3


def test_a_probe_that_another_process_interrupts_in_most_runs_is_flagged(tmp_path):
    fake = FakeTransport(preempted=lambda identifier: 90.0 if identifier == "p07" else 20.0)
    table = run(fake, ONCE, tmp_path / "j")[0].set_index("id")
    assert table.loc["p07", "reason"] == "another process took the CPU in 90% of runs (limit 40%)"
    assert table["usable"].sum() == 19


def test_timings_must_agree_and_the_pair_that_does_is_believed(tmp_path):
    asked = {"p03": iter([1.30, 1.00, 1.02]), "p04": iter([1.0, 1.2, 1.5, 1.8, 2.2])}
    fake = FakeTransport(lambda identifier, now: next(asked[identifier]) if identifier in asked else 1.0)
    protocol = dataclasses.replace(ONCE, repeats=2, max_attempts=5)
    table = run(fake, protocol, tmp_path / "j")[0].set_index("id")
    assert table.loc["p03", ["latency_ms", "attempts", "usable", "runs"]].tolist() == [1.01, 3, True, 100]
    assert table.loc["p03", "disagreement_percent"] == pytest.approx(100 * 0.02 / 1.01)
    assert not table.loc["p04", "usable"]
    assert table.loc["p04", "reason"] == "timings disagree by 18.2% (limit 5%)"
    assert (table.drop(["p03", "p04"])["attempts"] == 2).all()


def test_the_table_has_its_columns_and_a_bad_model_is_a_row(tmp_path, here):
    three = [("a", "arch a", lambda: MODEL), ("b", "arch b", lambda: b"junk"), ("c", "arch c", lambda: MODEL)]
    table, info = measure_probes(here, QUICK, three, MODEL, tmp_path / "j", np.random.default_rng(0))
    assert tuple(table) == COLUMNS
    assert table["usable"].tolist() == [True, False, True]
    assert table.loc[1, "reason"].startswith("cannot be run: ValueError")
    assert np.isnan(table.loc[1, "latency_ms"])
    assert table.loc[0, "fallback_operators"] == 2
    (session,) = info["sessions"]
    assert session["state_before"]["affinity"] == session["state_after"]["affinity"]
    assert len(session["references_ms"]) >= 2
    assert all(low <= high for low, high in session["during"].values())
    json.dumps(info, allow_nan=False)


def test_a_killed_runner_loses_nothing_and_the_next_call_does_the_rest(tmp_path, here):
    built = []

    def build(identifier, fatal=False):
        built.append(identifier)
        if fatal and len(built) == 6:
            os.kill(holder_pid(here), signal.SIGKILL)
        return MODEL

    def call(fatal):
        made = [(f"p{i}", f"arch {i}", lambda i=i: build(f"p{i}", fatal)) for i in range(10)]
        return measure_probes(here, QUICK, made, MODEL, tmp_path / "deep" / "j", np.random.default_rng(0))

    with pytest.raises(DeviceLost, match=r"device bench.*probe p\d: .*killed by SIGKILL.*is kept in .*j: run again"):
        call(fatal=True)
    finished = built[:5]
    built.clear()
    table, info = call(fatal=False)
    assert sorted(built) == sorted({f"p{i}" for i in range(10)} - set(finished))
    assert len(table) == 10
    # The probe that was on its way when the runner died has that attempt on record, but not as a timing.
    assert sorted(table["attempts"]) == [1] * 9 + [2]
    assert table["usable"].all()
    assert len(info["sessions"]) == 2
    built.clear()
    again, _ = call(fatal=False)
    assert built == []
    assert again.equals(table)


def test_a_killed_runner_is_followed_by_another_within_one_call(tmp_path, here):
    built = []

    def build():
        built.append(1)
        if len(built) in (3, 7):
            os.kill(holder_pid(here), signal.SIGKILL)
        return MODEL

    patient = dataclasses.replace(here, away_s=60)
    table, info = measure_probes(patient, QUICK, probes(8, build), MODEL, tmp_path / "j", np.random.default_rng(0))
    assert table["usable"].all()
    assert sorted(table["attempts"]) == [1] * 6 + [2] * 2
    assert len(info["sessions"]) == 3


def test_a_model_that_kills_the_runner_every_time_costs_its_own_row_only(tmp_path, here, monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)

    def fatal():
        os.kill(holder_pid(here), signal.SIGSEGV)
        return MODEL

    some = [*probes(3), ("bad", "arch bad", fatal)]
    patient, protocol = dataclasses.replace(here, away_s=60), dataclasses.replace(QUICK, max_attempts=3)
    table, _ = measure_probes(patient, protocol, some, MODEL, tmp_path / "j", np.random.default_rng(0))
    assert table["usable"].tolist() == [True] * 3 + [False]
    assert table.loc[3, "reason"] == "cannot be run: the runner was killed by SIGSEGV"
    assert table.loc[3, "attempts"] == 3
    with pytest.raises(DeviceLost, match="Gave up after 5 attempts in"):
        measure_models(patient, QUICK, FatalModels(here), MODEL, 3, np.random.default_rng(0))


class FatalModels(dict):
    """Kills the runner whenever the one model is fetched."""

    def __init__(self, device):
        super().__init__(m=MODEL)
        self.device = device

    def __getitem__(self, name):
        os.kill(holder_pid(self.device), signal.SIGKILL)
        return super().__getitem__(name)


def test_an_outage_ends_with_progress_and_not_before(monkeypatch):
    now, slept = [0.0], []
    monkeypatch.setattr(retrying.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retrying.time, "sleep", lambda s: (slept.append(s), now.__setitem__(0, now[0] + s)))

    def lost():
        raise DeviceLost("gone")

    patient = Device("bench", FakeTransport(), away_s=250)
    with pytest.raises(DeviceLost, match=r"gone. Gave up after 10 attempts in 243 s"):
        retrying.persist(patient, lost, progress=lambda: now[0] >= 60)
    doubling = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert slept == doubling[:6] + doubling


def test_a_torn_or_damaged_line_is_measured_again(tmp_path):
    journal = tmp_path / "j"
    whole, _ = run(FakeTransport(), ONCE, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    records = [json.loads(line) for line in lines]
    third, last = (max(i for i, r in enumerate(records[:n]) if r["kind"] == "probe") for n in (8, len(records)))
    lines[third] = b"\0" * 40 + b"\n"
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:50])
    fake = FakeTransport()
    table, _ = run(fake, ONCE, journal)
    assert {i for i in fake.log if i != "reference"} == {records[third]["id"], records[last]["id"]}
    assert table.drop(columns="reference_ms").equals(whole.drop(columns="reference_ms"))
    others = b"[" * 100_000, b'{"key": ' * 5_000 + b"1" + b"}" * 5_000, b"null", b"3", b'""', b"[]", b"{}", b"\xff"
    journal.write_bytes(b"\n".join([*others, journal.read_bytes()]))
    fake = FakeTransport()
    run(fake, ONCE, journal)
    assert not fake.log


@pytest.mark.parametrize(
    ("change", "measured"),
    [
        ({}, 0),
        ({"protocol": dataclasses.replace(ONCE, min_runs=40)}, 20),
        ({"protocol": dataclasses.replace(ONCE, max_drift=0.2, reference_every=7)}, 0),  # judged anew, not timed
        ({"cpu": "another"}, 20),
        ({"kernel": "6.8"}, 20),
        ({"governor": "powersave"}, 20),
        ({"made_from": "another probe writer"}, 20),
        ({"n": 25}, 5),
    ],
    ids=["same", "protocol", "limits", "device", "kernel", "governor", "models", "more probes"],
)
def test_only_what_is_missing_under_these_settings_is_measured(tmp_path, change, measured):
    run(FakeTransport(), ONCE, tmp_path / "j")
    machine = {name: change[name] for name in ("cpu", "kernel", "governor") if name in change}
    fake = FakeTransport(latency_ms=lambda identifier, now: 1.01, **machine)
    n, made_from = change.get("n", 20), change.get("made_from", "")
    table, _ = run(fake, change.get("protocol", ONCE), tmp_path / "j", n=n, made_from=made_from)
    assert len([i for i in fake.log if i != "reference"]) == measured
    assert len(table) == n
    # Numbers of other settings never stand in the table.
    assert (table["latency_ms"] == 1.01).sum() == measured
    assert fake.log == [] or measured


def test_a_device_other_than_the_sampled_one_is_refused_before_anything_is_timed(tmp_path):
    _, info = run(FakeTransport(), ONCE, tmp_path / "sample")
    run(FakeTransport(), ONCE, tmp_path / "same", sampled=[info["identity"]])
    for change in ({"cpu": "another"}, {"kernel": "6.8"}, {"governor": "powersave"}):
        fake = FakeTransport(**change)
        (name,) = change
        with pytest.raises(
            FoxnasError, match=rf"device bench: this device is not the one .* measured on: (?i:{name}) "
        ):
            run(fake, ONCE, tmp_path / "other", sampled=[info["identity"]])
        assert fake.log == []


def test_sessions_say_for_how_many_probes_they_made_the_last_timing(tmp_path):
    """Those of before an interruption and those of after it add up to all."""
    journal = tmp_path / "j"
    run(FakeTransport(), ONCE, journal, n=8)
    _, info = run(FakeTransport(), ONCE, journal, n=20)
    assert [session["probes"] for session in info["sessions"]] == [8, 12]
    assert [session["timings"] for session in info["sessions"]] == [8, 12]
    disturbed = FakeTransport(lambda identifier, now: (2.0 if identifier == "reference" else 1.0) + (12 <= now < 25))
    table, info = run(disturbed, ONCE, tmp_path / "k", n=40)
    assert table["attempts"].max() > 1
    assert [session["probes"] for session in info["sessions"]] == [40]


def test_an_interrupt_keeps_the_journal_and_leaves_no_process(tmp_path, here):
    pids = []

    def interrupt():
        pids.append(holder_pid(here))
        if len(pids) == 3:
            raise KeyboardInterrupt
        return MODEL

    with pytest.raises(KeyboardInterrupt):
        measure_probes(here, QUICK, probes(5, interrupt), MODEL, tmp_path / "j", np.random.default_rng(0))
    assert sum(json.loads(line)["kind"] == "probe" for line in (tmp_path / "j").open()) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_what_cannot_be_measured_at_all_is_refused(tmp_path, here):
    with pytest.raises(FoxnasError, match="two of the 4 probes have one id"):
        measure_probes(here, QUICK, probes(2) * 2, MODEL, tmp_path / "j", np.random.default_rng(0))
    with pytest.raises(FoxnasError, match="the reference model cannot be run: ValueError"):
        measure_probes(here, QUICK, probes(2), b"junk", tmp_path / "j", np.random.default_rng(0))
    (tmp_path / "folder").mkdir()
    with pytest.raises(FoxnasError, match=r"folder: the journal .* cannot be opened"):
        run(FakeTransport(), QUICK, tmp_path / "folder")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_runs": 0}, "min_runs is 0, must be at least 1"),
        ({"max_drift": 0.0}, "max_drift is 0.0, must be above 0"),
        ({"max_time_ms": 10.0}, "max_time_ms"),
        ({"repeats": 4, "max_attempts": 3}, "max_attempts is 3, must be at least 4"),
        ({"cpu": -1}, "cpu is -1"),
    ],
)
def test_impossible_protocols_are_refused(setting, message):
    with pytest.raises(FoxnasError, match=message):
        MeasurementProtocol(**setting)


def test_any_damaged_line_of_a_journal_is_passed_over(tmp_path):
    """Of every kind of record, in every place, of a journal of two sessions: what it held is measured again."""
    journal = tmp_path / "journal.jsonl"
    run(FakeTransport(), ONCE, journal, n=8)
    run(FakeTransport(), ONCE, journal, n=12)
    whole = journal.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["kind"] for line in whole].count("session") == 2
    for number, line in enumerate(whole):
        journal.write_bytes(b"".join([*whole[:number], line.replace(b'"', b"?", 1), *whole[number + 1 :]]))
        table, info = run(FakeTransport(), ONCE, journal, n=12)
        assert table["usable"].all(), line
        assert sum(session["timings"] for session in info["sessions"]) <= len(whole)
