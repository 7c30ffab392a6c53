"""Devices really examined: this machine, and a board behind a real OpenSSH server with faults planted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foxnas.device import answers_of_programs
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from foxnas.doctor import examination
from foxnas.doctor.conditions import ask_conditions
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.examination import Examination, Extent, examine
from foxnas.doctor.finding import Finding, sentence, verdict
from foxnas.doctor.page import as_object
from foxnas.doctor.way import Way
from foxnas.runner.lock import acquire_lock
from tests.support.examined import PROMISES
from tests.support.fake_sysfs import fake_sysfs
from tests.support.faults import FaultyProxy
from tests.support.ssh_probes import BRIEF, MODEL
from tests.support.sshd import Sshd, make_key

SHORT = Extent(sessions=2, pause_s=0.0, load_s=0.3)


def examined(
    device: Device, root: str = "/", protocol: MeasurementProtocol = BRIEF, folder: str = "."
) -> tuple[Examination, list[Finding]]:
    transport: Any = device.transport
    found = examine(device, protocol, transport.python, folder, lambda: MODEL, SHORT, root)
    ssh = transport.config if isinstance(transport, SshTransport) else None
    return found, diagnose(found, Way(ssh, "snakemake ready" if ssh and ssh.python is None else ""), PROMISES)


def the_bad(findings: list[Finding], level: str = "blocking") -> Finding:
    (found,) = [finding for finding in findings if finding.level == level]
    return found


def test_this_machine_is_examined_and_nothing_is_left_on_it(here: Device, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    root = fake_sysfs(tmp_path / "root", {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"})
    found, findings = examined(here, str(root))
    assert verdict(findings) == "ready, but"
    assert "the governor is powersave, which keeps the clock at its lowest" in sentence(findings)
    assert found.failed is None
    assert found.conditions
    assert found.conditions.machine.cores == os.cpu_count()
    assert found.conditions.bits == 64
    assert len(found.sessions) == 2
    assert [len(one.references_ms) for one in found.sessions] == [2, 2]
    assert found.sessions[0].facts["executor"] == "xnnpack"
    assert len(found.loaded) >= 3
    assert found.loaded[-1]["after_s"] < SHORT.load_s
    told = as_object(found, findings, PROMISES)
    assert told["reference"]["sessions"] == 2
    assert told["reference"]["spread_percent"] >= 0
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_board_is_examined_over_ssh(server: Sshd, board: Device) -> None:
    found, findings = examined(board)
    assert verdict(findings) != "not ready"
    assert (found.failed, len(found.sessions)) == (None, 2)
    assert [finding.text for finding in findings if finding.topic == "connection"] == ["SSH host board answers"]
    assert sorted(path.name.split("-")[0] for path in server.board.iterdir()) == ["python", "runner"]


def test_a_busy_board_names_what_keeps_it_busy(board: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WATCH_S", 0.5)
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        try:
            transport: Any = board.transport
            told = ask_conditions(board, transport.python, 0.5, None)
        finally:
            busy.kill()
    found = Examination("board", "tflite", "SSH host board", "python", ".", BRIEF, conditions=told)
    (load,) = [one for one in diagnose(found, Way(transport.config), PROMISES) if one.topic == "other load"]
    assert load.level == "advice"
    assert f"sh (process {busy.pid})" in load.text
    assert str(busy.pid) in load.mend


def test_a_missing_runtime(server: Sshd, board: Device) -> None:
    server.set_prelude(f"exec '{sys.executable}' -S -I \"$@\"")
    found, findings = examined(board)
    bad = the_bad(findings)
    assert bad.topic == "runtime"
    assert sentence(findings).startswith("not ready because device board (SSH host board), start-up: ")
    assert "neither ai-edge-litert nor tflite-runtime is installed in this Python" in bad.text
    assert "-m pip install ai-edge-litert" in bad.mend
    assert found.conditions  # the board itself is told of all the same


def test_a_reference_that_cannot_be_run(here: Device) -> None:
    found = examine(here, BRIEF, sys.executable, ".", lambda: b"junk", SHORT)
    (bad,) = [one for one in diagnose(found, Way(None), PROMISES) if one.level == "blocking"]
    assert bad.topic == "reference"
    assert "device bench (this machine): the reference model cannot be run: ValueError" in bad.text


def test_a_board_that_goes_away(board: Device, proxy: FaultyProxy) -> None:
    def model() -> bytes:
        proxy.refuse()
        return MODEL

    transport: Any = board.transport
    found = examine(board, BRIEF, transport.python, ".", model, SHORT)
    assert found.conditions
    assert (found.failed, found.sessions) == ("connection", ())
    assert "kept in" not in found.failure


def test_a_board_that_was_never_made_ready(server: Sshd, board: Device, tmp_path: Path) -> None:
    config = server.client().model_copy(update={"python": None, "folder": str(tmp_path / "new")})
    _, findings = examined(replace(board, transport=SshTransport(config, "tflite")), folder=str(tmp_path / "new"))
    bad = the_bad(findings)
    assert bad.topic == "environment"
    assert "has no Python at" in bad.text
    assert bad.mend == "snakemake ready"
    assert not (tmp_path / "new").exists()


def test_a_wrong_host_key(server: Sshd, board: Device, tmp_path: Path) -> None:
    config = server.client(accept=False)
    server.accept_host_key(key=make_key(tmp_path / "other"))
    _, findings = examined(replace(board, transport=SshTransport(config, "tflite")))
    bad = the_bad(findings)
    assert bad.topic == "connection"
    assert "its key has changed" in bad.text
    assert "ssh-keygen -R" in bad.text


def test_a_board_that_cannot_be_reached(proxy: FaultyProxy, board: Device) -> None:
    proxy.refuse()
    _, findings = examined(board)
    assert [finding.topic for finding in findings] == ["connection"]
    assert "cannot be reached" in findings[0].text
    assert findings[0].mend.startswith("ssh -F ")
    assert "Trying again" not in findings[0].text


def test_a_full_disk(server: Sshd, board: Device) -> None:
    small = "mount -t tmpfs -o size=8k tmpfs /mnt"
    if subprocess.run(["unshare", "-rm", "sh", "-c", small], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare -rm`, to mount a file system of 8 kB")
    server.kill()
    server.start(f'ForceCommand unshare -rm sh -c "{small} && exec sh -c \\"\\$SSH_ORIGINAL_COMMAND\\""')
    try:
        config = server.client().model_copy(update={"folder": "/mnt/foxnas", "python": sys.executable})
        _, findings = examined(replace(board, transport=SshTransport(config, "tflite")), folder="/mnt/foxnas")
    finally:
        server.kill()
    assert "No space left" in the_bad(findings).text
    assert "only 0 MiB free" in next(finding.text for finding in findings if finding.topic == "disk")


def test_it_waits_for_whoever_measures_and_says_for_whom(
    here: Device, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(answers_of_programs, "_PAUSE_S", 0.1)
    held = acquire_lock(here.lock, "ada on workbench", lambda holder: None)
    impatient = replace(here, busy_s=0.3)
    try:
        _, findings = examined(impatient)
        assert "somebody measures there (ada on workbench, process" in the_bad(findings).text
        assert "waiting, another session measures there: ada on workbench" in caplog.text
    finally:
        held.close()
