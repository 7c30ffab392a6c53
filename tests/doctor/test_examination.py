"""Devices really examined: this machine, and a board behind a real OpenSSH server with faults planted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foxnas import cli
from foxnas.__main__ import main
from foxnas.config.whole import Config, read_config
from foxnas.device.building import connect
from foxnas.device.config import DeviceConfig
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device, Finished, Implausible
from foxnas.doctor import conditions, consultation, examination
from foxnas.doctor.conditions import Conditions, ask_conditions
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.examination import Examination, Extent, examine
from foxnas.doctor.finding import Finding, sentence, verdict
from foxnas.doctor.page import as_object
from foxnas.doctor.way import Way
from foxnas.errors import FoxnasError
from foxnas.runner.lock import acquire_lock
from foxnas.settings.section import canonical
from tests.doctor.conftest import PLAIN_PATH
from tests.support.configs import written_out
from tests.support.examined import CALM, PROMISES
from tests.support.fake_sysfs import fake_sysfs
from tests.support.faults import FaultyProxy
from tests.support.forked_python import python
from tests.support.scripts import main_of
from tests.support.ssh_probes import BRIEF, MODEL
from tests.support.sshd import Sshd, make_key

ROOT = Path(__file__).resolve().parents[2]
SHORT = Extent(sessions=2, pause_s=0.0, load_s=0.3)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch it shortly, and without the shims that a manager of Pythons has on PATH: each starts a shell."""
    monkeypatch.setattr(examination, "WATCH_S", 0.1)
    folders = [place for place in os.environ["PATH"].split(os.pathsep) if "shims" not in place]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))


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
    server.start(PLAIN_PATH, f'ForceCommand unshare -rm sh -c "{small} && exec sh -c \\"\\$SSH_ORIGINAL_COMMAND\\""')
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
    monkeypatch.setattr(conditions, "_PAUSE_S", 0.1)
    held = acquire_lock(here.lock, "ada on workbench", lambda holder: None)
    impatient = replace(here, busy_s=0.3)
    try:
        _, findings = examined(impatient)
        assert "somebody measures there (ada on workbench, process" in the_bad(findings).text
        assert "waiting, another session measures there: ada on workbench" in caplog.text
    finally:
        held.close()


class FakeBoard:
    """Answers what it is told to."""

    host = "SSH host fake"

    def __init__(self, answer: bytes, status: int = 0) -> None:
        self._done = Finished(status, answer, b"Illegal \x1b[31minstruction")

    def run(self, command: object, stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        return self._done


def told_by(answer: bytes, status: int = 0) -> Conditions:
    device: Any = Device("fake", FakeBoard(answer, status))  # type: ignore[arg-type]
    return ask_conditions(device, "python3", 0.0, None)


HONEST = CALM.model_dump(mode="json")


def test_an_honest_answer_is_believed_and_strange_words_are_one_line() -> None:
    changed = {**HONEST, "driver": "x\x1b[2J\ny", "more": "of a later version"}
    assert told_by(f"greeting\n{json.dumps(changed)}\n".encode()) == CALM.model_copy(update={"driver": "x [2J y"})


@pytest.mark.parametrize(
    "change",
    [
        {"bits": "64"}, {"bits": 0}, {"busy_cpus": -1.0}, {"busy_cpus": 1e300}, {"load": float("nan")},
        {"python": None}, {"temperatures_c": {"a": "hot"}}, {"temperatures_c": [1]}, {"busiest": [{"name": "x"}]},
        {"governors": "powersave"},
        {"clock_step_ns": -1}, {"machine": None}, {"virtual": 1}, {"swap_mb": 1.5}, {"throttled": ["a"]},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_an_answer_that_cannot_be_is_not_believed(change: dict[str, Any]) -> None:
    with pytest.raises(Implausible, match=r"device fake \(SSH host fake\): answered .*nothing of it is believed"):
        told_by(json.dumps({**HONEST, **change}).encode())


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"", 132, r"python3 cannot tell about it \(status 132\): Illegal \[31minstruction"),
        (b"[1]", 0, "status 0"),
        (b'{"error": "OSError: no /tmp"}', 0, "OSError: no /tmp"),
        (b"[" * 100_000, 0, "status 0"),
    ],
)
def test_a_program_that_does_not_run_is_one_sentence(answer: bytes, status: int, said: str) -> None:
    with pytest.raises(FoxnasError, match=said):
        told_by(answer, status)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config whose protocol is quick, and a device that is not there."""
    folder = tmp_path_factory.mktemp("workplace")
    raw = written_out("tiny")
    (local,) = raw["devices"]
    quick = {"min_time_ms": 5.0, "min_runs": 5, "repeats": 1, "max_relative_mad": 50.0, "max_preempted": 1.0}
    quick |= {"max_drift": 50.0, "max_disagreement": 50.0}
    local["protocol"] |= quick
    nowhere = {**local, "name": "nowhere", "ssh": {"host": "nowhere.invalid"}}
    npu = {"name": "npu", "kind": "ethos-u", "npu": {
        "accelerator_config": "ethos-u55-256", "system_config": "Ethos_U55_High_End_Embedded",
        "memory_mode": "Shared_Sram",
    }}  # fmt: skip
    raw["devices"] = [local, nowhere, npu]
    raw["predictors"]["further_targets"] = []
    (folder / "mine.yaml").write_text(json.dumps(raw))
    return folder


@pytest.fixture
def own(workplace: Path, own_lock: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, and this machine as a device under a lock of its own."""

    def connected(*words: Any) -> tuple[Device, MeasurementProtocol]:
        device, protocol = connect(*words)
        return replace(device, lock=own_lock), protocol

    monkeypatch.setattr(consultation, "connect", connected)
    monkeypatch.chdir(workplace)
    return workplace


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command; return its exit status, and what it wrote to stdout and stderr."""
    with pytest.raises(SystemExit) as ending:
        main(["doctor", *words, "--configfile", "mine.yaml"])
    code, told = ending.value.code, capsys.readouterr()
    # A text goes to stderr, and the status is 1: Python's own doing.
    return (1, told.out, told.err + code) if isinstance(code, str) else (int(code or 0), told.out, told.err)


@pytest.mark.usefixtures("own")
def test_the_command_ends_with_a_verdict_and_its_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = doctor(capsys, "local", "--json", "--load-seconds", "0.2", "--sessions", "2")
    told = json.loads(out)
    assert (status, told["verdict"]) in [(0, "ready"), (0, "ready, but")]
    assert (told["device"], told["reference"]["sessions"], told["reference"]["executor"]) == ("local", 2, "own kernels")
    status, out, _ = doctor(capsys, "nowhere")
    assert status == 1
    assert re.match(r"not ready because SSH host \S+@nowhere\.invalid: the name is not found", out.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("pi5",), 1, "error: mine.yaml: has no device 'pi5'; it has local, nowhere, npu"),
        (("npu",), 1, "error: device npu: is an ethos-u"),
        (("local", "--load-seconds", "-1"), 2, "-1 is no number of seconds"),
        (("local", "--sessions", "0"), 2, "0 is no number of sessions"),
    ],
)
@pytest.mark.usefixtures("own")
def test_bad_words_are_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    found, out, errors = doctor(capsys, *words)
    assert (found, out) == (status, "")
    assert said in errors


FAKES = ROOT / "tests" / "support"


@pytest.fixture
def coral(own: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The tiny space on an Edge TPU that is not there, its compiler and delegate faked, at this machine."""
    monkeypatch.setenv("PYTHONPATH", str(FAKES / "fake_pycoral"))
    config = read_config(own / "mine.yaml")
    local = config.device("local").model_dump(mode="json") | {
        "name": "coral",
        "kind": "edgetpu",
        "max_model_bytes": None,
    }
    local["compiler"] = {"executable": str(FAKES / "fake_edgetpu_compiler")}
    return config.model_copy(update={"devices": [DeviceConfig.model_validate(local)]})


def consulted(config: Config) -> consultation.Consultation:
    return consultation.consult(
        config.devices[0], config.space, config.validation, config.verification, configfile=None, load_s=0.1, sessions=1
    )


def test_the_reference_of_an_edge_tpu_is_compiled_first(coral: Config) -> None:
    found = consulted(coral)
    assert found.told["verdict"] != "not ready", found.text
    assert (found.told["reference"]["executor"], found.told["reference"]["accelerator"]) == ("edgetpu", "Edge TPU")
    assert found.told["reference"]["sessions"] == 1
    assert "noise" not in {finding.topic for finding in found.findings}


def test_without_a_compiler_the_sentence_says_how_to_get_it(coral: Config) -> None:
    (device,) = coral.devices
    assert device.compiler
    none = device.model_copy(update={"compiler": device.compiler.model_copy(update={"executable": "no-compiler"})})
    found = consulted(coral.model_copy(update={"devices": [none]}))
    assert (found.findings[-1].topic, found.findings[-1].level) == ("reference", "blocking")
    assert "no-compiler: the Edge TPU compiler" in found.findings[-1].text


def asked_by_the_rule(workplace: Path, name: str) -> None:
    """Call the script as its rule does, but for less of everything."""
    config = read_config(workplace / "mine.yaml")
    settings = {
        "device": config.device(name), "space": config.space, "validation": config.validation,
        "verification": config.verification,
    }  # fmt: skip
    words = ["--settings", canonical(settings), "--inputs", "{}", "--doctor", str(workplace / f"{name}.json")]
    script = main_of("examine_device")
    script(**cli.parse(script, [*words, "--load-seconds", "0.2", "--sessions", "2"]))


def test_a_run_asks_for_it_as_a_target(own: Path) -> None:
    command = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(own / "mine.yaml")]
    done = python([*command, "--directory", str(own), "--cores", "2", "examine_devices", "--dry-run"], ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    # Not the one that is estimated; the one elsewhere is made ready first.
    assert re.findall(r"^(\w+_device) +(\d)$", said, re.MULTILINE)[:2] == [
        ("examine_device", "2"),
        ("provision_device", "1"),
    ]
    asked_by_the_rule(own, "local")
    told = json.loads((own / "local.json").read_text())
    assert told["made_by"]["script"] == "examine_device.py"
    assert told["verdict"] in ("ready", "ready, but")
    with pytest.raises(FoxnasError, match="device nowhere is not ready because SSH host "):
        asked_by_the_rule(own, "nowhere")
    assert not (own / "nowhere.json").exists()
