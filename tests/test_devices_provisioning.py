"""Devices made ready: surveyed, given an environment, proven; here, and on a 64-bit Arm board that is not there."""

import ast
import dataclasses
import io
import json
import logging
import os
import re
import subprocess
import sys
import tomllib
import uuid
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from emulated_arm import ArmBoard, Missing, arm_board
from int8_model import real_model
from packaging.requirements import Requirement

from foxnas import code
from foxnas.config.devices import SshConfig
from foxnas.config.whole import read_config
from foxnas.devices import compatibility, layout
from foxnas.devices.archive import archive
from foxnas.devices.client import Runner
from foxnas.devices.compatibility import choose, known_combinations, open_questions, pinned, read_pins
from foxnas.devices.evaluation import predict_images
from foxnas.devices.local import LocalTransport
from foxnas.devices.protocol import MeasurementProtocol
from foxnas.devices.provisioning import provision
from foxnas.devices.readiness import Restored
from foxnas.devices.runner import installer
from foxnas.devices.runner.lock import acquire_lock, lock_path
from foxnas.devices.session import measure_probes
from foxnas.devices.ssh.transport import SshTransport
from foxnas.devices.survey import Python, Survey, survey
from foxnas.devices.transport import Device, Finished, NotProvisioned
from foxnas.devices.wheels import fetch_wheels, platforms, wheels_in
from foxnas.errors import FoxnasError
from foxnas.tflite.probe import ProbeWriter
from foxnas.tflite.serving import Int8Model

REPOSITORY = Path(__file__).parent.parent
ONCE = MeasurementProtocol(
    warm_up_runs=1, warm_up_ms=0, min_runs=2, min_time_ms=0, max_time_ms=120_000, repeats=1, max_relative_mad=1e6,
    max_preempted=1, max_drift=1e6, max_disagreement=1e6, max_attempts=1,
)  # fmt: skip


def a_python(minor: str = "3.11", machine: str = "aarch64", libc: str = "2.36", **more) -> Python:
    version = tuple(int(n) for n in minor.split("."))
    told = {"venv": True, "ensurepip": False, "numpy": None, **more}
    return Python(f"/usr/bin/python{minor}", (*version, 2), machine, ("glibc", libc), **told)


def a_device(*pythons: Python, **more) -> Survey:
    told = {
        "system": "Linux", "machine": "aarch64", "os": "Debian", "codename": "bookworm", "user": "pi",
        "groups": ("pi",), "root": False, "apt": True, "memory_mb": 4000, "free_mb": 9000, "writable": True,
    }  # fmt: skip
    return Survey(**{**told, "pythons": pythons, **more})


# ------------------------------------------------------------------------------- pins and compatibility


def test_device_environments_pin_what_the_project_pins():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    host = {r.name: str(r.specifier).removeprefix("==") for r in map(Requirement, project["dependencies"])}
    for kind, of_host in (("tflite", "ai-edge-litert"), ("edgetpu", "ai-edge-litert"), ("torch", "torch")):
        pins = read_pins(compatibility.ENVIRONMENTS / f"{kind}-device.txt")
        assert host[of_host] in pins[of_host]
        assert host["numpy"] in pins["numpy"]
    assert pinned("tflite", a_python("3.11")) == (
        f"ai-edge-litert=={host['ai-edge-litert']}",
        f"numpy=={host['numpy']}",
    )


STAGES = {
    "analysis": ("sampling", "predictors", "search", "report"),
    "training": ("data", "supernet", "accuracy"),
    "export": ("export", "validation"),
    "measuring": ("devices", "latency", "edgetpu"),
}
#: Of a stage's rules, those that run in another stage's environment.
ELSEWHERE = {
    "compare_predictors": "training", "evaluate_subnets": "training", "compare_baselines": "training",
    "time_models": "measuring", "validate_on_device": "measuring",
}  # fmt: skip
DISTRIBUTIONS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "ai_edge_litert": "ai-edge-litert"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_host_imports_what_its_environment_pins_and_the_project_allows(stage):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    allowed = {r.name: r.specifier for r in map(Requirement, project["dependencies"])}
    pins = read_pins(compatibility.ENVIRONMENTS / f"host-{stage}.txt")
    for name, versions in pins.items():
        assert name in allowed or name == "markupsafe", name  # what jinja2 is made of
        assert name not in allowed or all(allowed[name].contains(version) for version in versions), name
    home = {file: owner for owner, files in STAGES.items() for file in files}
    imported = set()
    for rules in (REPOSITORY / "rules").glob("*.smk"):
        for script in set(re.findall(r'flow\.closure\("(\w+)"\)', rules.read_text())):
            if ELSEWHERE.get(script, home.get(rules.stem)) == stage:
                imported |= foreign_imports(REPOSITORY / "workflow" / "scripts" / f"{script}.py")
    assert "pandas" in imported
    assert {DISTRIBUTIONS.get(name, name) for name in imported} <= set(pins)


def foreign_imports(script: Path) -> set[str]:
    """What a script's closure imports of others, but for the modules that run on a device alone."""
    found: set[str] = set()
    for path in code.closure(script):
        if path.suffix == ".py" and path.parent != Path(installer.__file__).parent:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"foxnas"}


def test_no_environment_has_the_unrelated_package_of_the_name_pycoral():
    for path in compatibility.ENVIRONMENTS.glob("*.txt"):
        assert "pycoral" not in read_pins(path)


# What the package index has, asked in November 2026 with `pip index versions --platform ... --python-version ...`.
@pytest.mark.parametrize(
    ("minor", "machine", "interpreter"),
    [
        ("3.7", "aarch64", "tflite-runtime==2.11.0"),
        ("3.7", "armv7l", "tflite-runtime==2.11.0"),
        ("3.8", "aarch64", "tflite-runtime==2.13.0"),
        ("3.9", "armv7l", "tflite-runtime==2.13.0"),
        ("3.9", "aarch64", "ai-edge-litert==2.1.0"),
        ("3.10", "x86_64", "ai-edge-litert==2.3.0"),
        ("3.11", "armv7l", "tflite-runtime==2.14.0"),
        ("3.13", "aarch64", "ai-edge-litert==2.3.0"),
        ("3.14", "aarch64", "ai-edge-litert==2.3.0"),
    ],
)
def test_every_python_gets_one_interpreter_and_a_numpy_that_fits(minor, machine, interpreter):
    choice = choose(a_device(a_python(minor, machine, numpy="1.24.2")), "tflite")
    assert choice.requirements[0] == interpreter
    numpy = [r for r in choice.requirements if r.startswith("numpy==")]
    assert len(choice.requirements) == 1 + len(numpy)
    assert bool(numpy) != (machine == "armv7l")
    assert choice.system_packages == (machine == "armv7l")
    if numpy and interpreter.startswith("tflite-runtime"):
        assert numpy[0].startswith("numpy==1.")  # built for it, and crashes with 2


def test_the_newest_interpreter_wins_and_of_equals_the_default_python():
    device = a_device(a_python("3.9"), a_python("3.12"), a_python("3.11"))
    assert choose(device, "tflite").python.minor == "3.12"
    assert choose(a_device(a_python("3.8"), a_python("3.9")), "tflite").python.minor == "3.9"


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (a_device(), r"it has no Python; sudo apt-get install python3 python3-venv"),
        (a_device(root=True), r"it has no Python; apt-get install python3"),
        (a_device(a_python("3.6")), r"its Python \(3\.6\.2\) is older than 3\.7"),
        (a_device(a_python(venv=False)), r"lacks the module venv: sudo apt-get install python3\.11-venv"),
        (a_device(a_python("3.13", "armv7l")), r"32-bit system with Python 3\.13.*put a 64-bit system on it"),
        (a_device(a_python("3.11", "armv7l")), r"no numpy is published.*sudo apt-get install python3-numpy"),
        (a_device(dataclasses.replace(a_python(), libc=("", ""))), r"its C library is not glibc"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_command_that_helps(device, said):
    with pytest.raises(FoxnasError, match=said):
        choose(device, "tflite")


def test_a_stick_needs_a_library_that_fits_a_udev_rule_and_a_group():
    stick = {"corals": ("usb /sys/bus/usb/devices/2-1",)}
    modern = ("tflite-runtime==2.14.0", "numpy==1.26.4")
    said = "\n".join(open_questions(a_device(a_python(), **stick), "edgetpu", modern))
    for command in (
        "sudo apt-get install ./libedgetpu1-std_*.deb", "sudo tee /etc/udev/rules.d/99-edgetpu.rules",
        "sudo udevadm control --reload-rules", "sudo usermod -aG plugdev pi",
    ):  # fmt: skip
        assert command in said
    stock = a_device(a_python(), packages={"libedgetpu1-std": "16.0"}, udev_rules=("x",), groups=("plugdev",), **stick)
    (crash,) = open_questions(stock, "edgetpu", modern)
    assert "libedgetpu 16.0 is known to crash with tflite-runtime 2.14.0" in crash
    old = open_questions(stock, "edgetpu", ("tflite-runtime==2.11.0",))
    fits = dataclasses.replace(stock, packages={"libedgetpu1-max": "16.0TF2.17.1-1"})
    assert old == open_questions(fits, "edgetpu", modern) == open_questions(stock, "tflite", modern) == []
    assert "libedgetpu 16.0 (Google, built with TF 2.5) crashes" in known_combinations("tflite-runtime")


# ------------------------------------------------------------------------------------------- the survey


@dataclasses.dataclass(frozen=True)
class FakeShell:
    """Answers the survey with a text."""

    stdout: str
    host: str = "fake"

    def run(self, command, stdin=b"", timeout_s=60.0):
        return Finished(0, self.stdout.encode(), b"no such shell")


def test_this_machine_is_surveyed_as_it_is(tmp_path):
    found = survey(LocalTransport(), str(tmp_path / "not" / "yet"))
    assert (found.system, found.machine) == (os.uname().sysname, os.uname().machine)
    assert found.root == (os.geteuid() == 0)
    assert found.writable
    statistics = os.statvfs(tmp_path)
    assert found.free_mb == pytest.approx(statistics.f_bavail * statistics.f_frsize / 2**20, rel=0.05)
    assert any(python.version >= (3, 7) for python in found.pythons)
    assert not survey(LocalTransport(), "/proc/nowhere").writable


def test_a_32_bit_python_on_a_64_bit_kernel_is_seen_as_what_it_is():
    told = {
        "path": "/usr/bin/python3", "real": "/usr/bin/python3.11", "version": [3, 11, 2], "bits": 32, "venv": True,
        "implementation": "CPython", "libc": ["glibc", "2.36"], "ensurepip": False, "numpy": "1.24.2",
    }  # fmt: skip
    lines = {"system": "Linux", "machine": "aarch64", "python": json.dumps(told), "end": "yes"}
    shell = FakeShell("a greeting\n" + "".join(f"foxnas-survey {name}\t{value}\n" for name, value in lines.items()))
    found = survey(shell, ".foxnas")
    assert found.pythons[0].machine == "armv7l"
    assert choose(found, "tflite").requirements == ("tflite-runtime==2.14.0",)
    with pytest.raises(FoxnasError, match=r"cannot be surveyed.*no such shell"):
        survey(FakeShell("This account is closed."), ".foxnas")


# --------------------------------------------------------------------------------------------- wheels


def test_platforms_are_what_packaging_says_of_this_machine():
    from packaging.tags import platform_tags

    (this,) = (p for p in survey(LocalTransport(), ".").pythons if p.version[:2] == sys.version_info[:2])
    assert set(platforms(this)) == set(platform_tags())


def test_a_wheel_folder_is_searched_for_what_the_device_takes(tmp_path):
    for name in (
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
        "numpy-2.4.6-cp312-cp312-manylinux_2_27_aarch64.whl",
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl",
        "numpy-2.4.5-cp311-cp311-manylinux_2_27_aarch64.whl",
        "pip-25.3-py3-none-any.whl", "notes.whl",
    ):  # fmt: skip
        (tmp_path / name).touch()
    found = wheels_in(tmp_path, ["numpy==2.4.6", "pip==25.3"], a_python())
    assert [path.name.split("-")[2] for path in found] == ["cp311", "py3"]
    for python in (a_python("3.13"), a_python(libc="2.26"), a_python(machine="armv7l")):
        with pytest.raises(FoxnasError, match=r"holds no wheel of numpy==2\.4\.6.*pip download .*--platform"):
            wheels_in(tmp_path, ["numpy==2.4.6"], python)


def test_what_nobody_published_is_said_in_pips_words(tmp_path):
    with pytest.raises(FoxnasError, match="pip cannot fetch the device's wheels"):
        fetch_wheels(["ai-edge-litert==2.3.0"], a_python("3.7"), tmp_path)
    assert not list(tmp_path.glob("*/*"))


# ------------------------------------------------------------------------------------- this machine


def test_the_installer_is_valid_python_3_7_and_needs_nothing_else():
    with zipfile.ZipFile(io.BytesIO(archive(Path(installer.__file__)))) as archived:
        names = [name for name in archived.namelist() if not name.endswith("__init__.py")]
    assert set(names) == {"__main__.py", "foxnas/devices/runner/installer.py", "foxnas/devices/runner/lock.py"}
    for path in code.closure(Path(installer.__file__)):
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
def cache() -> Path:
    """Wheels are fetched once; where there is no network, the tests that install something are skipped."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foxnas" / "wheels"
    (python,) = (p for p in survey(LocalTransport(), ".").pythons[:1])
    try:
        fetch_wheels([*pinned("tflite", python), *pinned("installer", python)], python, folder)
    except FoxnasError as error:
        pytest.skip(f"needs wheels: {error}")
    return folder


def test_a_machine_becomes_ready_stays_so_and_recovers(here, cache, caplog):
    device, folder = here
    caplog.set_level(logging.INFO)
    make = partial(provision, device, ONCE, folder, cache=cache)
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


def test_installing_waits_for_who_measures_and_says_who_that_is(here, cache, tmp_path):
    device, _ = here
    holding = acquire_lock(device.lock, "a colleague on laptop", lambda holder: None)
    with holding, pytest.raises(FoxnasError, match=r"somebody measures there .a colleague on laptop"):
        provision(device, ONCE, str(tmp_path / "device"), cache=cache)


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_sentences(here, cache, tmp_path, monkeypatch):
    device, _ = here
    with pytest.raises(FoxnasError, match=r"device here .*may not be written to .*set ssh.folder"):
        provision(device, ONCE, "/proc/foxnas", cache=cache)
    full = dataclasses.replace(survey(device.transport, "."), free_mb=20)
    monkeypatch.setattr("foxnas.devices.provisioning.survey", lambda *_: full)
    with pytest.raises(FoxnasError, match=r"needs about \d+ MiB and its disk has 20 free"):
        provision(device, ONCE, str(tmp_path / "device"), cache=cache)


def test_a_crashing_interpreter_becomes_a_sentence(here, cache):
    device, folder = here
    package = next((Path(folder) / "tflite").glob("lib/python*/site-packages/ai_edge_litert"))
    with (package / "interpreter.py").open("a") as source:
        source.write("\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(FoxnasError, match=r"does not work there: the runner was killed by SIGSEGV"):
        provision(device, ONCE, None)


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
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--dry-run",
        "--cores",
        "1",
    ]
    command += ["--directory", str(tmp_path), "--configfile", str(tmp_path / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2 and line[-1].isdigit())
    assert jobs["provision_device"] == "1"  # this machine needs none
    assert jobs.get("validate_on_device") == ("1" if asked else None)


def test_a_device_that_lost_its_environment_is_provisioned_again(tmp_path, monkeypatch):
    started = []

    class FakeForgetful:
        host = "forgetful"

        def start(self):
            started.append(1)
            if not (tmp_path / "environment").exists():
                raise NotProvisioned("forgetful: has no Python at x: provision the device")
            return "a stream"

    ready = tmp_path / "ready.json"
    with pytest.raises(NotProvisioned):
        Restored(FakeForgetful(), ready).start()  # it was never ready: the rule has its turn first
    ready.write_text(json.dumps({"made_by": {"settings": {"device": {"name": "forgetful"}}}}))
    script = tmp_path / "fake_provision.py"
    script.write_text(
        'import pathlib, sys\nassert sys.argv[1:3] == [\'--settings\', \'{"device": {"name": "forgetful"}}\']\n'
        "folder = pathlib.Path(sys.argv[4]).parent\n(folder / 'environment').touch()\n"
    )
    monkeypatch.setattr("foxnas.devices.readiness._SCRIPT", script)
    assert Restored(FakeForgetful(), ready).start() == "a stream"
    assert len(started) == 3
    (tmp_path / "environment").unlink()
    script.write_text("raise SystemExit(1)\n")
    with pytest.raises(FoxnasError, match=r"has no Python at x.*did not succeed"):
        Restored(FakeForgetful(), ready).start()


# ------------------------------------------------------------------------------------ the board that is not there


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmBoard]:
    try:
        with arm_board(tmp_path_factory.mktemp("board")) as board:
            yield board
    except Missing as reason:
        pytest.skip(f"no emulated Arm board: {reason}")


@pytest.fixture(scope="module")
def ready(board: ArmBoard, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The board, made ready by the rule itself."""
    folder = tmp_path_factory.mktemp("run")
    config = read_config(REPOSITORY / "config" / "tiny.yaml")
    (local,) = config.devices
    patience = local.patience.model_copy(update={"silence_s": 120.0})
    protocol = local.protocol.model_copy(update={"xnnpack": True})
    pi = local.model_copy(update={"name": "pi", "ssh": board.ssh, "patience": patience, "protocol": protocol})
    (folder / "config.yaml").write_text(config.model_copy(update={"devices": [pi]}).model_dump_json())
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    command += ["results/devices/pi/ready.json", "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml")]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr
    path = folder / "results/devices/pi/ready.json"
    return {"path": str(path), **json.loads(path.read_text())}


@pytest.fixture
def pi(ready: dict, board: ArmBoard) -> Iterator[Device]:
    device = Device("pi", SshTransport(board.ssh, "tflite"), timeout_s=120)
    yield device
    device.transport.close()


def test_the_rule_makes_the_board_ready(ready):
    assert ready["identity"]["architecture"] == "aarch64"
    assert ready["identity"]["cpu"] == "Cortex-A72"
    assert ready["identity"]["runtime"] == "ai_edge_litert"
    assert ready["requirements"] == list(pinned("tflite", a_python("3.11")))
    assert ready["survey"]["os"].startswith("Debian GNU/Linux 12")
    assert not ready["survey"]["root"]
    assert ready["survey"]["pythons"][0]["ensurepip"] is False  # as on every Debian: the wheel of pip was needed


def test_a_second_time_everything_is_in_its_place(pi):
    again = provision(pi, ONCE, ".foxnas")
    assert not again.made


def test_probes_run_on_the_board_through_the_measuring_path(pi, mini, tmp_path):
    writer = ProbeWriter(mini)
    rng = np.random.default_rng(0)
    archs = [next(mini.sample(size, rng)) for size in (16, 20, 24)]
    probes = [(arch.id, arch.text, partial(writer.write, arch)) for arch in archs]
    reference = writer.write(mini.smallest(16))
    table, info = measure_probes(pi, ONCE, probes, reference, tmp_path / "journal", rng)
    assert table["usable"].all(), table["reason"].tolist()
    assert (table["runs"] == 2).all()
    assert info["identity"]["architecture"] == "aarch64"
    state = info["sessions"][0]["state_before"]
    assert state["governor"] == "performance"
    assert state["temperatures_c"] == {"thermal_zone0 cpu-thermal": 48.686}


def test_a_real_model_answers_on_the_board_what_it_answers_here_bit_for_bit(pi, tmp_path):
    real = real_model()
    few = real.images[:8]
    with Runner(pi, ONCE) as runner:
        described = runner.open(real.content)
        raw = np.frombuffer(runner.predict(few.tobytes()), described["output_dtype"]).reshape(len(few), -1)
    # Scale times (raw - zero point), as the host's own runtime says it.
    there = (raw.astype(np.float32) - described["zero_point"]) * np.float32(described["scale"])
    assert np.array_equal(there, Int8Model(real.content, xnnpack=True).logits(few))
    assert len(np.unique(raw)) > 8


def test_accuracy_is_evaluated_on_the_board(pi, tmp_path):
    real = real_model()
    labels = Int8Model(real.content, xnnpack=True).logits(real.images[:12]).argmax(axis=1)
    seen = predict_images(pi, ONCE, real.content, real.images[:12], tmp_path / "journal")
    assert seen.top1_percent(labels) == 100
    assert seen.identity["architecture"] == "aarch64"


def test_without_xnnpack_outputs_differ_by_a_few_units_at_most(pi):
    """The runtime's own kernels round differently there: accuracy belongs to a runtime and a delegate."""
    real = real_model()
    few = real.images[:4]
    with Runner(pi, dataclasses.replace(ONCE, xnnpack=False)) as runner:
        described = runner.open(real.content)
        raw = np.frombuffer(runner.predict(few.tobytes()), described["output_dtype"]).reshape(len(few), -1)
    there = (raw.astype(np.float32) - described["zero_point"]) * np.float32(described["scale"])
    here = Int8Model(real.content, xnnpack=False).logits(few)
    assert np.abs(there - here).max() <= 8 * described["scale"]


def test_a_board_that_lost_its_environment_is_provisioned_again_and_measures_on(pi, board, ready, mini):
    (board.home / ".foxnas" / "tflite").unlink()
    with pytest.raises(NotProvisioned, match="provision the device"):
        pi.transport.start()
    restored = dataclasses.replace(pi, transport=Restored(pi.transport, Path(ready["path"])))
    with Runner(restored, ONCE) as runner:
        row = runner.measure("small", ProbeWriter(mini).write(mini.smallest(16)))
    assert row["runs"] == 2
