"""Measuring over a real OpenSSH server while the board behind it breaks: a row or a sentence, nothing invented."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from tests.support.ssh_probes import BRIEF, MODEL, check, measure, once, probes
from tests.support.sshd import Sshd


def test_a_killed_runner(server: Sshd, board: Device, tmp_path: Path) -> None:
    def kill() -> None:
        for runner in server.runners():
            runner.send_signal(signal.SIGKILL)

    table = measure(board, probes(6, once(2, kill)), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)
    assert sorted(table["attempts"]) == [1] * 5 + [2]


def test_garbage_in_the_stream(server: Sshd, board: Device, tmp_path: Path) -> None:
    # Something else on the board writes to the runner's stdout, once before its first word and once amid them.
    begun, due, said = (tmp_path / name for name in ("begun", "due", "said"))
    waits = f"for _ in {{1..600}}; do [ -e '{due}' ] && break; sleep 0.05; done; echo 'WARNING: {{}}'; touch '{said}'"
    server.set_prelude(f"echo 'Welcome to this board'; [ -e '{begun}' ] || {{ touch '{begun}'; ({waits}) & }}")

    def garble() -> None:
        due.touch()
        while not said.exists():
            time.sleep(0.01)

    table = measure(board, probes(6, once(2, garble)), tmp_path / "j")
    check(table, 6, tmp_path / "j", server)
    sessions = [json.loads(line)["kind"] for line in (tmp_path / "j").read_text().splitlines()].count("session")
    assert sessions == 2


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
