"""Measuring over a real OpenSSH server while the way to it breaks: nothing is lost and nothing is invented."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device, DeviceLost
from foxnas.device.whole_models import measure_models
from foxnas.errors import FoxnasError
from tests.support.faults import FaultyProxy
from tests.support.ssh_probes import BRIEF, MODEL, check, later, measure, once, probes
from tests.support.sshd import Sshd, make_key


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


def test_flipped_bits_on_the_wire(server: Sshd, proxy: FaultyProxy, board: Device, tmp_path: Path) -> None:
    table = measure(board, probes(6, once(3, lambda: proxy.corrupt(3))), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)


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


def test_kill_9_of_the_host_process(server: Sshd, board: Device, tmp_path: Path) -> None:
    """A second process takes up where the first was killed, at once: its runner died with it."""
    script = tmp_path / "host.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from foxnas.device.config import SshConfig\n"
        "from foxnas.device.ssh.transport import SshTransport\n"
        "from foxnas.device.transport import Device\n"
        "from tests.support.ssh_probes import measure, probes\n"
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
