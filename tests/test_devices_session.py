"""Passes, references, verdicts and the journal; against a fake device where the disturbance must be scripted."""

import dataclasses
import json
import os
import re
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from foxnas.devices import persistence
from foxnas.devices.judging import COLUMNS
from foxnas.devices.local import LocalTransport
from foxnas.devices.models import ModelLatency, measure_model, measure_models, upper_bound
from foxnas.devices.protocol import MeasurementProtocol
from foxnas.devices.runner.frames import FrameReader, encode_frame
from foxnas.devices.runner.lock import lock_path
from foxnas.devices.runner.server import RUNNER_VERSION
from foxnas.devices.session import measure_probes
from foxnas.devices.transport import Device, DeviceLost, Ending
from foxnas.errors import FoxnasError

MODEL = (Path(__file__).parent / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(
    warm_up_ms=0,
    min_runs=10,
    min_time_ms=0.5,
    repeats=1,
    reference_every=4,
    max_relative_mad=50,
    max_preempted=2,
    max_drift=50,
)
ONCE = MeasurementProtocol(repeats=1, reference_every=5, max_attempts=3)


@dataclass
class FakeDeviceStream:
    """Answers as a runner does, with latencies that a test scripts; counts what it is asked."""

    latency_ms: Callable[[str, int], float]
    spread: Callable[[str], float]
    preempted: Callable[[str], float]
    cpu: str
    log: list[str]
    frames: FrameReader = field(default_factory=FrameReader)
    answers: bytes = b""

    def send(self, data, timeout_s):
        self.frames.feed(data)
        while frame := self.frames.next_frame():
            self.answers += encode_frame(self.answer(*frame))

    def answer(self, header, body):
        if header["type"] == "hello":
            machine = {"cpu": self.cpu}
            versions = {"runner": RUNNER_VERSION, "backend": "tflite", "runtime": "fake", "runtime_version": "0"}
            return {"type": "hello", "machine": machine, "state": {}, **versions}
        if header["type"] != "measure":
            return {"type": header["type"]}
        latency = self.latency_ms(header["id"], len(self.log))
        self.log.append(header["id"])
        row = {
            "latency_ms": latency,
            "p10_ms": latency,
            "p90_ms": latency,
            "mad_ms": latency * self.spread(header["id"]),
        }
        return {
            "type": "result",
            "id": header["id"],
            "runs": 50,
            "preempted_percent": self.preempted(header["id"]),
            "fallback_operators": 0,
            "peak_memory_mb": 9.0,
            **row,
        }

    def receive(self, timeout_s):
        data, self.answers = self.answers, b""
        return data

    def stderr_tail(self):
        return ""

    def ending(self):
        return Ending(0)

    def close(self):
        pass


@dataclass
class FakeTransport:
    """Its clock is the number of timings so far."""

    latency_ms: Callable[[str, int], float] = lambda identifier, now: 1.0
    spread: Callable[[str], float] = lambda identifier: 0.01
    preempted: Callable[[str], float] = lambda identifier: 2.0
    cpu: str = "fake"
    log: list[str] = field(default_factory=list)
    host: str = "nowhere"

    def start(self):
        return FakeDeviceStream(self.latency_ms, self.spread, self.preempted, self.cpu, self.log)

    def close(self):
        pass


def probes(n, build=lambda: MODEL):
    return [(f"p{i:02d}", f"arch {i}", build) for i in range(n)]


def run(fake, protocol, journal, n=20, seed=0, **options):
    device = Device("bench", fake)
    return measure_probes(device, protocol, probes(n), b"reference", journal, np.random.default_rng(seed), **options)


@pytest.fixture
def here():
    """This machine, really, under a lock of its own."""
    name = f"test-{uuid.uuid4().hex}"
    yield Device("bench", LocalTransport(), lock=name, timeout_s=20)
    lock_path(name).unlink(missing_ok=True)


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
    monkeypatch.setattr(persistence, "FIRST_PAUSE_S", 0.01)

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
        measure_models(patient, QUICK, FatalModels(here), 3, np.random.default_rng(0))


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
    monkeypatch.setattr(persistence.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(persistence.time, "sleep", lambda s: (slept.append(s), now.__setitem__(0, now[0] + s)))

    def lost():
        raise DeviceLost("gone")

    patient = Device("bench", FakeTransport(), away_s=250)
    with pytest.raises(DeviceLost, match=r"gone. Gave up after 10 attempts in 243 s"):
        persistence.persist(patient, lost, progress=lambda: now[0] >= 60)
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


@pytest.mark.parametrize(
    ("change", "measured"),
    [
        ({}, 0),
        ({"protocol": dataclasses.replace(ONCE, min_runs=40)}, 20),
        ({"protocol": dataclasses.replace(ONCE, max_drift=0.2, reference_every=7)}, 0),  # judged anew, not timed
        ({"cpu": "another"}, 20),
        ({"made_from": "another probe writer"}, 20),
        ({"n": 25}, 5),
    ],
    ids=["same", "protocol", "limits", "device", "models", "more probes"],
)
def test_only_what_is_missing_under_these_settings_is_measured(tmp_path, change, measured):
    run(FakeTransport(), ONCE, tmp_path / "j")
    fake = FakeTransport(latency_ms=lambda identifier, now: 1.01, cpu=change.get("cpu", "fake"))
    n, made_from = change.get("n", 20), change.get("made_from", "")
    table, _ = run(fake, change.get("protocol", ONCE), tmp_path / "j", n=n, made_from=made_from)
    assert len([i for i in fake.log if i != "reference"]) == measured
    assert len(table) == n
    # Numbers of other settings never stand in the table.
    assert (table["latency_ms"] == 1.01).sum() == measured
    assert fake.log == [] or measured


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


def test_upper_bound_is_students_t():
    # Tables of t: t(0.95, 2) = 2.920, t(0.95, 4) = 2.132.
    assert upper_bound([1.0, 2.0, 3.0]) == pytest.approx(2 + 2.920 / 3**0.5, abs=1e-3)
    assert upper_bound([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(3 + 2.132 * 2.5**0.5 / 5**0.5, abs=1e-3)
    with pytest.raises(FoxnasError, match="at least 3"):
        upper_bound([1.0, 2.0])


@pytest.mark.parametrize(
    ("n", "skewed", "stated"), [(3, False, 0.95), (5, False, 0.95), (3, True, 0.92), (5, True, 0.95)]
)
def test_upper_bound_covers_the_median_as_often_as_its_docstring_says(n, skewed, stated):
    rng = np.random.default_rng(n)
    medians = 1 + 0.02 * (rng.exponential(size=(4000, n)) if skewed else rng.normal(size=(4000, n)))
    truth = 1 + 0.02 * (np.log(2) if skewed else 0)
    coverage = np.mean([upper_bound(list(row)) >= truth for row in medians])
    assert coverage == pytest.approx(stated, abs=0.013)  # three standard errors


def test_a_promise_is_kept_by_the_bound_not_by_the_median():
    latency = ModelLatency((0.98, 0.99, 1.00))
    assert latency.median_ms == 0.99
    assert not latency.meets(1.0)
    assert latency.meets(1.01)


def test_noisy_timings_of_a_model_are_made_again():
    # Every other timing is twice as slow and noisy.
    fake = FakeTransport(
        lambda identifier, now: 1.0 + now % 2, lambda identifier: 0.3 if len(fake.log) % 2 == 0 else 0.01
    )
    latency = measure_model(
        Device("bench", fake), MeasurementProtocol(max_attempts=6), MODEL, 3, np.random.default_rng(0)
    )
    assert latency.session_medians_ms == (1.0, 1.0, 1.0)


def test_models_are_timed_in_sessions_of_their_own(here):
    latencies, info = measure_models(here, QUICK, {"a": MODEL, "b": MODEL}, 3, np.random.default_rng(0), rounds=2)
    assert [len(one.session_medians_ms) for one in latencies.values()] == [3, 3]
    assert all(one.fallback_operators == 2 and one.upper_ms >= one.median_ms > 0 for one in latencies.values())
    assert latencies["a"].dtype == "int8"
    assert latencies["a"].executor == "xnnpack"
    assert len(info["sessions"]) == 3
    with pytest.raises(FoxnasError, match="model junk cannot be run"):
        measure_models(here, QUICK, {"junk": b"junk"}, 3, np.random.default_rng(0))
    with pytest.raises(FoxnasError, match="at least 3 sessions, 2 are set"):
        measure_model(here, QUICK, MODEL, 2, np.random.default_rng(0))
