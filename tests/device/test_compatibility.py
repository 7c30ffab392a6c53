"""What goes onto which device, and what a survey finds there: against the package index and this machine."""

import ast
import dataclasses
import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from foxnas.device.kinds import kind_of
from foxnas.device.local import LocalTransport
from foxnas.device.provisioning.compatibility import choose, pinned, pins_of
from foxnas.device.provisioning.survey import survey
from foxnas.device.provisioning.wheels import fetch_wheels, platforms, wheels_in
from foxnas.device.transport import Finished
from foxnas.errors import FoxnasError
from foxnas.files import closures
from foxnas.runner import installer
from tests.support.pins import ENVIRONMENTS, read_pins
from tests.support.scripts import RULES, SCRIPTS
from tests.support.surveyed import a_device, a_python

REPOSITORY = Path(__file__).resolve().parents[2]


def test_device_environments_pin_what_the_project_pins():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    host = {r.name: str(r.specifier).removeprefix("==") for r in map(Requirement, project["dependencies"])}
    for kind, of_host in (("tflite", "ai-edge-litert"), ("edgetpu", "ai-edge-litert"), ("torch", "torch")):
        pins = read_pins(ENVIRONMENTS / f"{kind}-device.txt")
        assert host[of_host] in pins[of_host]
        assert host["numpy"] in pins["numpy"]
    assert pinned(pins_of("tflite", ENVIRONMENTS), a_python("3.11")) == (
        f"ai-edge-litert=={host['ai-edge-litert']}",
        f"numpy=={host['numpy']}",
    )


STAGES = {
    "analysis": ("sampling", "tables", "predictors", "search", "strategies", "report"),
    "training": ("data", "supernet", "accuracy"),
    "export": ("export", "validation", "named"),
    "measuring": ("devices", "latency", "like", "edgetpu", "ethosu"),
}
#: Of a stage's rules, those that run in another stage's environment.
ELSEWHERE = {
    "score_predictors": "training", "evaluate_subnets": "training", "compare_baselines": "training",
    "time_subnets": "measuring", "time_models": "measuring", "confirm_latency": "measuring",
    "validate_on_device": "measuring", "compile_probes": "measuring", "time_compiled": "measuring",
    "estimate_subnets": "measuring", "search_single_path": "training", "compile_candidates": "measuring",
    "estimate_candidates": "measuring", "fit_like": "analysis", "time_sustained": "measuring",
}  # fmt: skip
DISTRIBUTIONS = {
    "yaml": "pyyaml", "sklearn": "scikit-learn", "ai_edge_litert": "ai-edge-litert", "PIL": "pillow",
    "annotated_types": "annotated-types",
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_host_imports_what_its_environment_pins_and_the_project_allows(stage):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["tensorflow"]]
    allowed = {r.name: r.specifier for r in map(Requirement, wanted)}
    pins = read_pins(ENVIRONMENTS / f"host-{stage}.txt")
    for name, versions in pins.items():
        assert name in allowed or name == "markupsafe", name  # what jinja2 is made of
        assert name not in allowed or all(allowed[name].contains(version) for version in versions), name
    home = {file: owner for owner, files in STAGES.items() for file in files}
    imported = set()
    for rules in RULES:
        for script in set(re.findall(r'flow\.script\("(\w+)"[,)]', rules.read_text())):
            if ELSEWHERE.get(script, home.get(rules.stem)) == stage:
                imported |= foreign_imports(SCRIPTS[script])
    assert "pandas" in imported
    assert {DISTRIBUTIONS.get(name, name) for name in imported} <= set(pins)


def foreign_imports(script: Path) -> set[str]:
    """What a script's closure imports of others, but for the modules that run on a device alone."""
    found: set[str] = set()
    for path in closures.closure(script):
        if path.suffix == ".py" and path.parent != Path(installer.__file__).parent:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"foxnas", "comparisons"}


def test_no_environment_has_the_unrelated_package_of_the_name_pycoral():
    for path in ENVIRONMENTS.glob("*.txt"):
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
    choice = choose(a_device(a_python(minor, machine, numpy="1.24.2")), "tflite", ENVIRONMENTS)
    assert choice.requirements[0] == interpreter
    numpy = [r for r in choice.requirements if r.startswith("numpy==")]
    assert len(choice.requirements) == 1 + len(numpy)
    assert bool(numpy) != (machine == "armv7l")
    assert choice.system_packages == (machine == "armv7l")
    if numpy and interpreter.startswith("tflite-runtime"):
        assert numpy[0].startswith("numpy==1.")  # built for it, and crashes with 2


def test_the_newest_interpreter_wins_and_of_equals_the_default_python():
    device = a_device(a_python("3.9"), a_python("3.12"), a_python("3.11"))
    assert choose(device, "tflite", ENVIRONMENTS).python.minor == "3.12"
    assert choose(a_device(a_python("3.8"), a_python("3.9")), "tflite", ENVIRONMENTS).python.minor == "3.9"


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
        choose(device, "tflite", ENVIRONMENTS)


def test_a_stick_needs_a_library_that_fits_a_udev_rule_and_a_group():
    asked = kind_of("edgetpu").open_questions
    stick = {"corals": ("usb /sys/bus/usb/devices/2-1",)}
    modern = ("tflite-runtime==2.14.0", "numpy==1.26.4")
    said = "\n".join(asked(a_device(a_python(), **stick), modern))
    for command in (
        "sudo apt-get install ./libedgetpu1-std_*.deb", "sudo tee /etc/udev/rules.d/99-edgetpu.rules",
        "sudo udevadm control --reload-rules", "sudo usermod -aG plugdev pi",
    ):  # fmt: skip
        assert command in said
    stock = a_device(a_python(), packages={"libedgetpu1-std": "16.0"}, udev_rules=("x",), groups=("plugdev",), **stick)
    (crash,) = asked(stock, modern)
    assert "libedgetpu 16.0 is known to crash with tflite-runtime 2.14.0" in crash
    old = asked(stock, ("tflite-runtime==2.11.0",))
    fits = dataclasses.replace(stock, packages={"libedgetpu1-max": "16.0TF2.17.1-1"})
    assert old == asked(fits, modern) == kind_of("tflite").open_questions(stock, modern) == []
    assert "libedgetpu 16.0 (Google, built with TF 2.5) crashes" in kind_of("edgetpu").explained(modern)


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
    assert choose(found, "tflite", ENVIRONMENTS).requirements == ("tflite-runtime==2.14.0",)
    with pytest.raises(FoxnasError, match=r"cannot be surveyed.*no such shell"):
        survey(FakeShell("This account is closed."), ".foxnas")


def test_platforms_are_what_packaging_says_of_this_machine():
    from packaging.tags import platform_tags

    this = survey(LocalTransport(), ".").pythons[0]
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
