"""The command that a user types, and the target that a run asks for."""

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
from foxnas.device.kinds import kind_of
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.doctor import consultation
from foxnas.errors import FoxnasError
from foxnas.settings.section import canonical
from tests.support.configs import written_out
from tests.support.forked_python import python
from tests.support.scripts import main_of
from tests.support.sshd import Sshd
from tests.support.tiny_run import QUICK

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.usefixtures("own")
def test_every_board_of_a_rack_is_examined_and_named(server: Sshd) -> None:
    """Of two hosts, one that is there and one that is not."""
    config = read_config(ROOT / "config" / "tiny.yaml")
    ssh = server.client(name="pi4-a").model_copy(update={"python": sys.executable})
    calm = replace(config.devices[0].protocol, **QUICK)  # whatever else keeps this machine busy
    device = config.devices[0].model_copy(
        update={"name": "pi4", "ssh": ssh, "hosts": ["pi4-a", "nowhere.invalid"], "protocol": calm}
    )
    found = consultation.consult(
        device, config.space, config.validation.model_copy(update={"spread_s": 0.0}), 1.0,
        configfile=None, load_s=0.2, sessions=2,
    )  # fmt: skip
    first, second, last = found.text.split("\n\n")
    assert first.startswith("pi4: SSH host pi4-a\n")
    assert second.startswith("pi4: SSH host nowhere.invalid\n")
    assert re.match(r"pi4: not ready because board nowhere\.invalid: SSH host \S+: the name is not found", last)
    assert [one["host"] for one in found.told["boards"]] == ["SSH host pi4-a", "SSH host nowhere.invalid"]
    assert [one["verdict"] == "not ready" for one in found.told["boards"]] == [False, True]
    assert found.told["verdict"] == "not ready"
    assert {finding.text.split(":")[0] for finding in found.findings} == {"board pi4-a", "board nowhere.invalid"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("pi5",), 1, "error: mine.yaml: has no device 'pi5'; it has local, nowhere, npu"),
        (("npu",), 1, "error: device npu: is an ethos-u"),
        (("local", "--load-seconds", "-1"), 2, "-1 is no number of seconds"),
        (("local", "--load-seconds", "0"), 2, "0 is no number of seconds"),
        (("local", "--load-seconds", "nan"), 2, "nan is no number of seconds"),
        (("local", "--load-seconds", "soon"), 2, "soon is no number of seconds between 0 and a day"),
        (("local", "--sessions", "0"), 2, "0 is no number of sessions"),
        (("local", "--sessions", "1.5"), 2, "1.5 is no number of sessions from 1 to 1000"),
    ],
)
@pytest.mark.usefixtures("own")
def test_bad_words_are_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    found, out, errors = doctor(capsys, *words)
    assert (found, out) == (status, "")
    assert said in errors


def test_a_device_whose_latencies_are_of_a_table_is_not_taken_for_this_machine() -> None:
    config = read_config(ROOT / "examples" / "tables.yaml")
    with pytest.raises(
        FoxnasError, match=r"^device raspberry-pi-4: is a table device, .* of examples/measurements.csv"
    ):
        consulted(config)


def test_without_a_config_the_option_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: config/config.yaml: is not there; name your config with --configf"):
        main(["doctor", "local"])


@pytest.mark.parametrize(
    ("closed", "status", "said"),
    [(True, 0, ""), (False, 1, "error: the output cannot be written (No space left on device); write it elsewhere\n")],
)
def test_a_reader_that_has_left_is_no_fault_and_a_full_disk_is_one_sentence(
    closed: bool, status: int, said: str
) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from foxnas.__main__ import say\n"
    code += "try: say('x' * 10**6)\nexcept ValueError as error: sys.exit(f'error: {error}')"
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    words = [sys.executable, "-c", code, str(ROOT)]
    done = subprocess.run(words, stdout=writer if closed else full, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    os.close(full)
    assert (done.returncode, done.stderr) == (status, said)


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
        config.devices[0],
        config.space,
        config.validation,
        1.0,
        configfile=None,
        load_s=0.1,
        sessions=1,
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
        "margin_percent": config.verification.margin_percent, "kind_code": kind_of(config.device(name).kind).code(),
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
