"""Measuring over a real OpenSSH server while everything breaks: nothing is lost and nothing is invented."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.device import retrying
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import Probe, measure_probes
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device, DeviceLost
from foxnas.device.whole_models import measure_models
from foxnas.errors import FoxnasError
from tests.support.faults import FaultyProxy
from tests.support.sshd import Sshd, make_key

MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()

#: One timing of 30 ms a probe and never a second one for its spread, so that attempts count the faults alone.
BRIEF = MeasurementProtocol(
    warm_up_ms=0, min_runs=10, min_time_ms=30, max_time_ms=500, repeats=1, reference_every=5,
    max_relative_mad=50, max_preempted=1, max_drift=50, max_disagreement=50,
)  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"), sys.executable)
    yield server
    server.kill()


@pytest.fixture
def server(shared: Sshd) -> Iterator[Sshd]:
    """The server, up, its board whole."""
    shared.set_prelude("")
    shared.sent.unlink(missing_ok=True)
    if not shared.alive:
        shared.start()
    return shared


@pytest.fixture
def proxy(server: Sshd) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port) as between:
        yield between


@pytest.fixture
def board(server: Sshd, proxy: FaultyProxy, own_lock: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The board as a device behind the proxy, under a lock of its own, tried again soon and for long."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE_S", 1.0)
    transport = SshTransport(server.client(proxy.port), "tflite")
    yield Device("board", transport, lock=own_lock, timeout_s=2, busy_s=30, away_s=30)
    transport.close()


def probes(n: int, during: Callable[[int], None] = lambda i: None) -> list[Probe]:
    """`n` probes; when the i-th one is built, `during(i)` happens."""
    built = iter(range(1_000_000))

    def build() -> bytes:
        during(next(built))
        return MODEL

    return [(f"p{i:02d}", f"arch {i}", build) for i in range(n)]


def measure(board: Device, made: Sequence[Probe], journal: Path, protocol: MeasurementProtocol = BRIEF) -> pd.DataFrame:
    return measure_probes(board, protocol, made, MODEL, journal, np.random.default_rng(0))[0]


def check(table: pd.DataFrame, n: int, journal: Path, server: Sshd) -> None:
    """Every probe once; every number one that the device sent for that probe, and nothing sent twice."""
    assert list(table["id"]) == [f"p{i:02d}" for i in range(n)]
    assert table["usable"].all(), table.loc[~table["usable"], ["id", "reason"]]
    sent = server.rows_sent()
    assert len(sent) >= n
    for identifier, row in table.set_index("id").iterrows():
        of_probe = [one["latency_ms"] for one in sent if one["id"] == identifier]
        assert row["latency_ms"] in of_probe
        assert row["latency_ms"] > 0
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    kept = [record for record in records if record["kind"] == "probe" and "error" not in record["row"]]
    assert [(r["id"], r["row"]["latency_ms"]) for r in kept] == [
        (r["id"], r["row"]["latency_ms"])
        for r in kept
        if any(r["row"]["latency_ms"] == one["latency_ms"] for one in sent)
    ]
    assert len({record["id"] for record in kept}) == len(kept) == n


def once(at: int, fault: Callable[[], None]) -> Callable[[int], None]:
    return lambda i: fault() if i == at else None


def later(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


def test_a_cut_during_a_measurement(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    during = {3: lambda: later(0.015, proxy.cut), 7: lambda: later(0.015, lambda: proxy.cut(reset=False))}
    table = measure(board, probes(8, lambda i: during.get(i, lambda: None)()), tmp_path / "j")
    assert len(proxy.faults) == 2
    check(table, 8, tmp_path / "j", server)


class CuttingModels(dict[str, bytes]):
    """Cuts the connection a moment after its model was fetched for the n-th time."""

    def __init__(self, proxy: FaultyProxy, at: int) -> None:
        super().__init__(m=MODEL)
        self.proxy, self.left = proxy, at

    def __getitem__(self, name: str) -> bytes:
        self.left -= 1
        if self.left == 0:
            later(0.015, self.proxy.cut)
        return super().__getitem__(name)


def test_a_cut_while_whole_models_are_timed(server: Sshd, proxy: FaultyProxy, board: Device) -> None:
    """A session is the unit there: the one that was cut is made again, whole."""
    latencies, info = measure_models(
        board, BRIEF, CuttingModels(proxy, 4), MODEL, 3, np.random.default_rng(0), rounds=2
    )
    assert len(proxy.faults) == 1
    assert len(info["sessions"]) == 3
    sent = [row["latency_ms"] for row in server.rows_sent() if row["id"] == "m"]
    assert len(sent) >= 7
    pairs = [(a + b) / 2 for a, b in itertools.pairwise(sent)]
    assert [value in pairs for value in latencies["m"].session_medians_ms] == [True] * 3


def test_a_cut_during_an_upload(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    # First the runner itself, then a probe that is large on the wire.
    for old in server.board.glob("runner*"):
        old.unlink()
    proxy.cut_after(12_000)
    padded = MODEL + np.random.default_rng(0).bytes(300_000)
    made = [(identifier, arch, lambda build=build: build() + padded[len(MODEL) :]) for identifier, arch, build in
            probes(6, once(2, lambda: proxy.cut_after(100_000)))]  # fmt: skip
    table = measure(board, made, tmp_path / "j")
    assert proxy.faults == ["cut with a reset"] * 2
    check(table, 6, tmp_path / "j", server)
    assert [path.name for path in server.board.iterdir() if ".part" in path.name] == []


def test_a_stall_without_close(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    # The old runner holds the lock until it notices that nobody speaks to it.
    def stall() -> None:
        proxy.stall()
        later(3, proxy.flow)

    table = measure(board, probes(6, once(2, stall)), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)


def test_a_refused_connection(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    proxy.refuse()
    later(1, proxy.accept)
    check(measure(board, probes(4), tmp_path / "j"), 4, tmp_path / "j", server)
    proxy.refuse()
    board.transport.close()
    away = dataclasses.replace(board, away_s=1)
    with pytest.raises(
        DeviceLost, match=r"cannot be reached \(127.0.0.1: Connection refused\). Gave up after \d attempts"
    ):
        measure(away, probes(5), tmp_path / "j")


def test_sshd_killed_and_restarted_in_the_middle(
    server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path
) -> None:
    def reboot() -> None:
        server.kill()
        later(1, server.start)

    table = measure(board, probes(6, once(3, reboot)), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)


def test_a_killed_runner(server: Sshd, board: Device, tmp_path: Path) -> None:
    def kill() -> None:
        for runner in server.runners():
            runner.send_signal(signal.SIGKILL)

    table = measure(board, probes(6, once(2, kill)), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)
    assert sorted(table["attempts"]) == [1] * 5 + [2]


def test_garbage_in_the_stream(server: Sshd, board: Device, tmp_path: Path) -> None:
    # Something else on the board writes to the runner's stdout, once before its first word and once amid them.
    flag = server.folder / "garbled"
    flag.unlink(missing_ok=True)
    server.set_prelude(
        f"echo 'Welcome to this board'; [ -e '{flag}' ] || {{ touch '{flag}'; (sleep 0.9; echo 'WARNING: {{}}') & }}"
    )
    table = measure(board, probes(25), tmp_path / "j")
    check(table, 25, tmp_path / "j", server)
    sessions = [json.loads(line)["kind"] for line in (tmp_path / "j").read_text().splitlines()].count("session")
    assert sessions == 2


def test_flipped_bits_on_the_wire(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    table = measure(board, probes(6, once(3, lambda: proxy.corrupt(3))), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)


def test_a_wall_clock_that_jumps(server: Sshd, board: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the board and here, the time of day leaps by days at every look at it."""
    folder = server.folder / "jumping"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import random, time\n"
        "true = time.time\n"
        "time.time = lambda: true() + random.randint(-9, 9) * 86400\n"
        "print('the clock jumps', file=__import__('sys').stderr)\n"
    )
    server.set_prelude(f"export PYTHONPATH='{folder}'")
    true = time.time
    leaps = np.random.default_rng(0)
    monkeypatch.setattr(time, "time", lambda: true() + int(leaps.integers(-9, 10)) * 86400)
    table = measure(board, probes(6), tmp_path / "j")
    monkeypatch.undo()
    check(table, 6, tmp_path / "j", server)


def test_a_missing_runtime_is_one_sentence(server: Sshd, board: Device, tmp_path: Path) -> None:
    bare = server.folder / "bare"
    bare.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    server.set_prelude(f"exec '{bare}' \"$@\"")
    with pytest.raises(FoxnasError, match=r"neither ai-edge-litert nor tflite-runtime is installed in this Python"):
        measure(board, probes(2), tmp_path / "j")
    config = board.transport.config.model_copy(update={"python": "/no/python"})
    with pytest.raises(FoxnasError, match=r"has no Python at /no/python: correct ssh.python, or set it to null"):
        measure(dataclasses.replace(board, transport=SshTransport(config, "tflite")), probes(2), tmp_path / "j")


def test_a_model_that_does_not_load_costs_its_own_row(server: Sshd, board: Device, tmp_path: Path) -> None:
    table = measure(board, [*probes(4), ("bad", "arch bad", lambda: b"junk")], tmp_path / "j").set_index("id")
    assert table["usable"].to_dict() == {"p00": True, "p01": True, "p02": True, "p03": True, "bad": False}
    assert "cannot be run" in table.loc["bad", "reason"]


def test_a_board_without_memory(server: Sshd, board: Device, tmp_path: Path) -> None:
    """The model that needs too much has its row; the others are measured."""
    server.set_prelude("export OPENBLAS_NUM_THREADS=1; ulimit -v 300000")
    fat = ("fat", "arch fat", lambda: MODEL + bytes(200_000_000))
    patient, once_only = dataclasses.replace(board, timeout_s=30), dataclasses.replace(BRIEF, max_attempts=1)
    table = measure(patient, [*probes(3), fat], tmp_path / "j", once_only).set_index("id")
    assert table["usable"].to_dict() == {"p00": True, "p01": True, "p02": True, "fat": False}
    assert table.loc["fat", "reason"].startswith("cannot be run: MemoryError")


def test_a_full_disk_is_one_sentence(server: Sshd, board: Device, tmp_path: Path) -> None:
    small = "mount -t tmpfs -o size=8k tmpfs /mnt"
    if subprocess.run(["unshare", "-rm", "sh", "-c", small], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare -rm`, to mount a file system of 8 kB")
    server.kill()
    server.start(f'ForceCommand unshare -rm sh -c "{small} && exec sh -c \\"\\$SSH_ORIGINAL_COMMAND\\""')
    try:
        config = board.transport.config.model_copy(update={"folder": "/mnt/foxnas", "python": sys.executable})
        full = dataclasses.replace(board, transport=SshTransport(config, "tflite"))
        with pytest.raises(FoxnasError, match=r"/mnt/foxnas/runner-\w+.pyz cannot be written there: .*No space left"):
            measure(full, probes(2), tmp_path / "j")
    finally:
        server.kill()


def test_a_wrong_key_and_a_changed_host_key_are_one_sentence(server: Sshd, proxy: FaultyProxy, tmp_path: Path) -> None:
    def board(**keywords: str) -> Device:
        return Device("board", SshTransport(server.client(proxy.port, name="odd", **keywords), "tflite"), away_s=30)

    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(FoxnasError, match=r"login refused; tried .*stranger.*ssh-copy-id odd"):
        measure(board(IdentityFile=str(stranger)), probes(2), tmp_path / "j")
    changed = board()
    server.accept_host_key(proxy.port, stranger)
    with pytest.raises(FoxnasError, match=r"its key has changed: now ssh-ed25519 SHA256:.*ssh-keygen -R") as caught:
        measure(changed, probes(2), tmp_path / "j")
    # The command in the message does what it says.
    command = str(caught.value).split("accept the new key with: ")[1]
    subprocess.run(command, shell=True, check=True, capture_output=True)
    check(measure(changed, probes(2), tmp_path / "j"), 2, tmp_path / "j", server)
    changed.transport.close()


def campaign(
    server: Sshd, proxy: FaultyProxy, board: Device, journal: Path, faults: int, seed: int
) -> tuple[pd.DataFrame, Counter[str]]:
    """Measure three probes for every fault, each fault at a random moment of a random probe."""
    rng = np.random.default_rng(seed)

    def refuse() -> None:
        proxy.refuse()
        later(0.5, proxy.accept)

    def stall() -> None:
        proxy.stall()
        later(3, proxy.flow)

    def reboot() -> None:
        server.kill()
        later(0.5, server.start)

    def kill_runner() -> None:
        for runner in server.runners():
            runner.kill()

    kinds: dict[str, Callable[[], None]] = {
        "cut": proxy.cut,
        "polite cut": lambda: proxy.cut(reset=False),
        "cut in an upload": lambda: proxy.cut_after(int(rng.integers(1, 6000))),
        "cut in an answer": lambda: proxy.cut_after(int(rng.integers(1, 400)), "down"),
        "corrupted answer": lambda: proxy.corrupt(int(rng.integers(1, 50))),
        "corrupted upload": lambda: proxy.corrupt(int(rng.integers(1, 50)), "up"),
        "refused": refuse,
        "stall": stall,
        "reboot": reboot,
        "killed runner": kill_runner,
    }
    plan = {int(i): str(rng.choice(list(kinds))) for i in rng.choice(3 * faults, faults, replace=False)}
    injected: Counter[str] = Counter()

    def during(i: int) -> None:
        if i in plan:
            injected[plan[i]] += 1
            later(float(rng.uniform(0, 0.04)), kinds[plan[i]])

    return measure(board, probes(3 * faults, during), journal), injected


def test_a_campaign_of_random_faults(
    server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults, seed = int(os.environ.get("FOXNAS_FAULTS", "8")), int(os.environ.get("FOXNAS_FAULT_SEED", "0"))
    table, injected = campaign(server, proxy, board, tmp_path / "j", faults, seed)
    check(table, 3 * faults, tmp_path / "j", server)
    with capsys.disabled():
        print(
            f"\n{injected.total()} random faults injected and survived (seed {seed}): {dict(sorted(injected.items()))}"
        )
    assert injected.total() == faults


def test_kill_9_of_the_host_process(server: Sshd, board: Device, tmp_path: Path) -> None:
    """A second process takes up where the first was killed, at once: its runner died with it."""
    script = tmp_path / "host.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from foxnas.device.config import SshConfig\n"
        "from tests.device.test_ssh_faults import *\n"
        f"config = SshConfig.model_validate_json({board.transport.config.model_dump_json()!r})\n"
        f"board = Device('board', SshTransport(config, 'tflite'), lock={board.lock!r}, timeout_s=10)\n"
        f"measure(board, probes(20), Path({str(tmp_path / 'j')!r}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    host = subprocess.Popen([sys.executable, script], env=environment)
    journal = tmp_path / "j"
    deadline = time.monotonic() + 30
    while not (journal.exists() and journal.read_text().count('"probe"') >= 5) and time.monotonic() < deadline:
        time.sleep(0.01)
    host.kill()
    host.wait()
    done = journal.read_text().count('"probe"')
    assert 5 <= done < 20
    built: list[int] = []
    table = measure(board, probes(20, built.append), journal)
    assert 20 - done <= len(built) <= 21 - done
    check(table, 20, journal, server)
