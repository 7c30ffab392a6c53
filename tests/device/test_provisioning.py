"""A machine made ready: surveyed, given an environment, proven, and made ready again when that is lost."""

import ast
import dataclasses
import io
import json
import logging
import sys
import uuid
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from foxnas import cli
from foxnas.config.whole import read_config
from foxnas.device import layout
from foxnas.device.archive import archive
from foxnas.device.building import build_device
from foxnas.device.config import SshConfig
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.compatibility import pinned, pins_of
from foxnas.device.provisioning.installation import provision
from foxnas.device.provisioning.readiness import Restored
from foxnas.device.provisioning.survey import survey
from foxnas.device.provisioning.wheels import cache_folder, fetch_wheels
from foxnas.device.transport import Device, NotProvisioned
from foxnas.errors import FoxnasError
from foxnas.files import closures
from foxnas.runner import installer
from foxnas.runner.lock import acquire_lock, lock_path
from foxnas.settings.section import canonical
from tests.support.forked_python import python
from tests.support.pins import ENVIRONMENTS
from tests.support.scripts import main_of

REPOSITORY = Path(__file__).resolve().parents[2]
ONCE = MeasurementProtocol(
    warm_up_runs=1, warm_up_ms=0, min_runs=2, min_time_ms=0, max_time_ms=120_000, repeats=1, max_relative_mad=1e6,
    max_preempted=1, max_drift=1e6, max_disagreement=1e6, max_attempts=1,
)  # fmt: skip


def test_the_installer_is_valid_python_3_7_and_needs_nothing_else():
    with zipfile.ZipFile(io.BytesIO(archive(Path(installer.__file__)))) as archived:
        names = [name for name in archived.namelist() if not name.endswith("__init__.py")]
    assert set(names) == {"__main__.py", "foxnas/runner/installer.py", "foxnas/runner/lock.py"}
    for path in closures.closure(Path(installer.__file__)):
        tree = ast.parse(path.read_text(), str(path), feature_version=(3, 7))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= sys.stdlib_module_names


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Device, str]]:
    """This machine as a device with a folder and a lock of its own."""
    folder, lock = str(tmp_path_factory.mktemp("here") / "device"), f"test-{uuid.uuid4().hex}"
    yield Device("here", LocalTransport(str(layout.python(folder, "tflite"))), lock=lock, busy_s=0.5), folder
    lock_path(lock).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def wheels() -> Path:
    """A folder with what this machine needs, fetched once; where there is no network, what installs is skipped."""
    (own,) = survey(LocalTransport(), ".").pythons[:1]
    try:
        found = fetch_wheels(
            [*pinned(pins_of("tflite", ENVIRONMENTS), own), *pinned(ENVIRONMENTS / "installer.txt", own)],
            own,
            cache_folder(),
        )
    except FoxnasError as error:
        pytest.skip(f"needs wheels: {error}")
    return found[0].parent


def test_a_machine_becomes_ready_stays_so_and_recovers(here, wheels, caplog):
    device, folder = here
    caplog.set_level(logging.INFO)
    make = partial(provision, device, ONCE, folder, ENVIRONMENTS, wheels=wheels)
    first = make()
    assert first.made
    assert first.identity["runtime"] == "ai_edge_litert"
    assert f"ai-edge-litert=={first.identity['runtime_version']}" in first.requirements
    assert not list(Path(folder).glob("wheels/*.whl"))
    environment = (Path(folder) / "tflite").resolve()
    before = environment.stat().st_mtime_ns
    caplog.clear()
    assert not make().made
    assert environment.stat().st_mtime_ns == before
    assert "uploading" not in caplog.text
    # Half an environment, as a full disk or a torn-out card leaves it: proven, found wanting, made anew.
    interpreter_package = next(environment.glob("lib/python*/site-packages/ai_edge_litert"))
    interpreter_package.rename(interpreter_package.parent / "gone")
    assert make().made
    assert "the environment is made anew" in caplog.text
    assert not (interpreter_package.parent / "gone").exists()


def test_installing_waits_for_who_measures_and_says_who_that_is(here, wheels, tmp_path):
    device, _ = here
    holding = acquire_lock(device.lock, "a colleague on laptop", lambda holder: None)
    with holding, pytest.raises(FoxnasError, match=r"somebody measures there .a colleague on laptop"):
        provision(device, ONCE, str(tmp_path / "device"), ENVIRONMENTS, wheels=wheels)


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_sentences(here, wheels, tmp_path, monkeypatch):
    device, _ = here
    with pytest.raises(FoxnasError, match=r"device here .*may not be written to .*set ssh.folder"):
        provision(device, ONCE, "/proc/foxnas", ENVIRONMENTS, wheels=wheels)
    full = dataclasses.replace(survey(device.transport, "."), free_mb=20)
    monkeypatch.setattr("foxnas.device.provisioning.installation.survey", lambda *_: full)
    with pytest.raises(FoxnasError, match=r"needs about \d+ MiB and its disk has 20 free"):
        provision(device, ONCE, str(tmp_path / "device"), ENVIRONMENTS, wheels=wheels)


def test_a_crashing_interpreter_becomes_a_sentence(here, wheels):
    device, folder = here
    package = next((Path(folder) / "tflite").glob("lib/python*/site-packages/ai_edge_litert"))
    with (package / "interpreter.py").open("a") as source:
        source.write("\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(FoxnasError, match=r"does not work there: the runner was killed by SIGSEGV"):
        provision(device, ONCE, None, ENVIRONMENTS)


@pytest.mark.parametrize(("accuracy_on", "asked"), [("device", True), ("host", False)])
def test_a_device_is_made_ready_first_and_asked_for_its_accuracy_where_the_config_says_so(tmp_path, accuracy_on, asked):
    config = read_config(REPOSITORY / "config" / "tiny.yaml")
    ssh = SshConfig(
        host="nowhere",
        user=None,
        port=None,
        config_file=None,
        password=None,
        folder=".foxnas",
        python=None,
        wheels=None,
    )
    devices = [config.devices[0], config.devices[0].model_copy(update={"name": "pi", "ssh": ssh})]
    validation = config.validation.model_copy(update={"accuracy_on": accuracy_on})
    changed = config.model_copy(update={"devices": devices, "validation": validation})
    (tmp_path / "config.yaml").write_text(changed.model_dump_json())
    command = ["-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--dry-run", "--cores", "1"]
    command += ["--directory", str(tmp_path), "--configfile", str(tmp_path / "config.yaml")]
    done = python(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2 and line[-1].isdigit())
    assert jobs["provision_device"] == "1"  # this machine needs none
    assert jobs.get("validate_on_device") == ("1" if asked else None)


def test_a_device_that_lost_its_environment_is_provisioned_again(tmp_path):
    started = []

    class FakeForgetful:
        host = "forgetful"

        def start(self):
            started.append(1)
            if not (tmp_path / "environment").exists():
                raise NotProvisioned("forgetful: has no Python at x: provision the device")
            return "a stream"

    ready = tmp_path / "ready.json"
    script = tmp_path / "fake_provision.py"
    command = [sys.executable, str(script), "--ready", str(ready)]
    with pytest.raises(NotProvisioned):
        Restored(FakeForgetful(), ready, command).start()  # it was never ready: the rule has its turn first
    ready.write_text("{}")
    script.write_text("import pathlib, sys\npathlib.Path(sys.argv[2]).with_name('environment').touch()\n")
    assert Restored(FakeForgetful(), ready, command).start() == "a stream"
    assert len(started) == 3
    (tmp_path / "environment").unlink()
    script.write_text("raise SystemExit(1)\n")
    with pytest.raises(FoxnasError, match=r"has no Python at x.*did not succeed"):
        Restored(FakeForgetful(), ready, command).start()


def test_it_is_provisioned_again_by_the_rules_own_command(monkeypatch):
    ssh = SshConfig(
        host="nowhere", user=None, port=None, config_file=None, password=None, folder=".foxnas", python=None,
        wheels=None,
    )  # fmt: skip
    (local,) = read_config(REPOSITORY / "config" / "tiny.yaml").devices
    pi = local.model_copy(update={"name": "pi", "ssh": ssh})
    commands = []
    monkeypatch.setattr("foxnas.device.building.Restored", lambda transport, ready, command: commands.append(command))
    build_device(pi.measured, pi.access, ["provision_device.py", "--pins", "envs/tflite-device.txt"])
    ((python, path, *words),) = commands
    assert (python, path) == (sys.executable, "provision_device.py")
    arguments = cli.parse(main_of("provision_device"), words)
    assert arguments.pop("made_by")["settings"] == json.loads(
        canonical({"kind": "tflite", "kind_code": None, "ssh": ssh})
    )
    assert arguments == {
        "kind": "tflite", "kind_code": None, "ssh": ssh, "device": pi.measured, "access": pi.access,
        "pins": [Path("envs/tflite-device.txt")], "ready": Path("results/devices/pi/ready.json"), "hosts": None,
    }  # fmt: skip
