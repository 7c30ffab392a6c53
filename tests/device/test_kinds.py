"""Kinds of device: what an entry point may bring, what is said of others, and what of a plug-in goes to a device."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from modulefinder import ModuleFinder
from pathlib import Path

import numpy as np
import pytest

from foxnas.config.whole import load_config
from foxnas.device import kinds, plug_in_code
from foxnas.device.answers import predict_images
from foxnas.device.archive import RunBy, runner_archive
from foxnas.device.client import Runner
from foxnas.device.kinds import kind_of, our_kinds, plug_ins
from foxnas.device.local import LocalTransport
from foxnas.device.provisioning.compatibility import choose
from foxnas.device.session import measure_probes
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.sustained import run_sustained
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from foxnas.files import closures
from foxnas.int8.serving import answers
from foxnas.runner import server
from foxnas.space.config import read_space
from tests.support.configs import written_out
from tests.support.fake_device import QUICK
from tests.support.pins import ENVIRONMENTS, read_pins
from tests.support.plug_ins import install
from tests.support.sshd import Sshd
from tests.support.surveyed import a_device, a_python

ROOT = Path(__file__).resolve().parents[2]

#: The modules that write the probes of our kinds.
WRITERS = {"tflite": "int8/probe.py", "torch": "device/float_probe.py", "ethos-u": "ethosu/probe.py"}

Installer = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Bring packages where this process finds them, and no other does."""
    caches = (kinds.plug_ins, kinds.kind_of)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def bring(point: str, text: str = "", package: str = "of_mine") -> Path:
        (about := tmp_path / f"{package}-1.dist-info").mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[foxnas.devices]\n{point}\n")
        module = tmp_path / f"{package}.py"
        module.write_text(f"from foxnas.device.kind import DeviceKind\n{text}\n")
        return module

    def installer(*given: str) -> Path:
        for cache in caches:
            cache.cache_clear()
        return install(*given, tmp_path) if len(given) == 1 else bring(*given)

    yield installer
    for cache in caches:
        cache.cache_clear()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("of_mine", "of_yours", "foxnas_my_device", "foxnas_onnx_device"):
            del sys.modules[name]


def config_of(kind: str) -> None:
    raw = written_out("tiny")
    raw["devices"][0]["kind"] = kind
    load_config(raw, "mine.yaml")


def test_ours_are_entry_points_that_load() -> None:
    assert list(our_kinds()) == ["tflite", "edgetpu", "torch", "ethos-u", "table"]
    for name, point in our_kinds().items():
        assert type(kind_of(name)) is point.load()
        # Those that models run on have a class of the runner, by the name that the runner knows it by.
        module, _, backend = kind_of(name).backend.partition(":")
        assert bool(backend) == (name in server.BACKENDS)
        assert not backend or getattr(import_module(module), backend) is server.BACKENDS[name]


def test_journals_of_our_kinds_go_by_the_code_that_writes_their_probes_alone() -> None:
    """As they did before kinds were plug-ins."""
    for name, module in WRITERS.items():
        assert kind_of(name).probe_code() == closures.digest(closures.PACKAGE / module)
        assert set(closures.closure(closures.PACKAGE / module)) < set(
            closures.closure(Path(import_module(type(kind_of(name)).__module__).__file__ or ""))
        )


def test_a_kind_that_is_not_installed_is_one_sentence(installed: Installer) -> None:
    known = "tflite, edgetpu, torch, ethos-u, table"
    for kind, way in (("quantum", "install the Python package that brings it"), ("tfilte", "did you mean tflite?")):
        said = f"devices.0.kind: '{kind}' is no device kind that is installed ({known}); {way}"
        with pytest.raises(FoxnasError) as refused:
            config_of(kind)
        assert said in str(refused.value).splitlines()[1]
        assert len(str(refused.value).splitlines()) == 2
    for name in ("No", "../up", "a b"):
        with pytest.raises(FoxnasError, match="should match pattern"):
            config_of(name)


@pytest.mark.parametrize(
    ("point", "text", "said"),
    [
        ("mine = nothing.there:Kind", "", "cannot be loaded from nothing.there:Kind (ModuleNotFoundError"),
        ("mine = of_mine:Kind", "", "cannot be loaded from of_mine:Kind (AttributeError"),
        ("mine = of_mine:Kind", "class Kind:\n    pass", "is a Kind, expected a class derived from foxnas.device.kind"),
        ("mine = of_mine:Kind", "class Kind(DeviceKind):\n    latency = 'given'", "latency is given, and only a kind"),
        ("mine = of_mine:Kind", "class Kind(DeviceKind):\n    backend = 'x; import os'", "expected module:Class"),
        ("mine = of_mine:Kind", "class Kind(DeviceKind):\n    backend = 'a:B'\n    model_file = '../x'", "model_file"),
    ],
)  # fmt: skip
def test_what_is_no_kind_is_refused(installed: Installer, point: str, text: str, said: str) -> None:
    installed(point, text)
    with pytest.raises(FoxnasError, match="device kind mine") as refused:
        config_of("mine")
    assert said in str(refused.value)


def test_one_name_is_one_packages_and_ours_stay_ours(installed: Installer) -> None:
    installed("tflite = of_mine:Kind", "class Kind(DeviceKind):\n    pass")
    assert "tflite" not in plug_ins()
    assert type(kind_of("tflite")).__module__ == "foxnas.device.tflite_kind"
    installed("twice = of_yours:Kind", "", "of_yours")
    assert list(plug_ins()) == ["twice"]
    installed("twice = of_theirs:Kind", "", "of_theirs")
    with pytest.raises(FoxnasError, match=r"two packages bring a device kind twice: .*uninstall one"):
        kind_of("twice")


def test_the_code_of_a_plug_in_is_what_its_module_imports(tmp_path: Path) -> None:
    """Against the standard library, which reads byte code; relative imports among them."""
    (package := tmp_path / "of_mine").mkdir()
    for name, text in {
        "__init__": "", "kind": "from . import near\nfrom .deep.down import x\nimport of_mine.plain, json\n",
        "near": "from foxnas.int8 import probe\n", "plain": "", "unused": "",
        "deep/__init__": "", "deep/down": "from ..near import probe as x\n",
    }.items():  # fmt: skip
        (package / name).with_suffix(".py").parent.mkdir(exist_ok=True)
        (package / name).with_suffix(".py").write_text(text)
    finder = ModuleFinder([str(tmp_path), str(ROOT)])
    finder.import_hook("of_mine.kind")
    files = {Path(one.__file__).resolve() for one in finder.modules.values() if one.__file__}
    wanted = {file for file in files if file.is_relative_to(tmp_path.resolve()) or file.is_relative_to(ROOT / "foxnas")}
    plug_in_code.closure.cache_clear()
    assert set(plug_in_code.closure(package / "kind.py")) == wanted
    before = plug_in_code.digest.__wrapped__(package / "kind.py")
    for name, changes in (("unused", False), ("near", True)):
        plug_in_code.closure.cache_clear()
        module = package / f"{name}.py"
        module.write_text(module.read_text() + "EDITED = True\n")
        assert (plug_in_code.digest.__wrapped__(package / "kind.py") != before) == changes


def names_in(archive: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as archived:
        return set(archived.namelist())


def test_the_runner_is_as_it_was_for_ours_and_has_a_plug_ins_backend_besides(installed: Installer) -> None:
    for name in ("tflite", "torch", "edgetpu"):
        assert runner_archive(RunBy(name, kind_of(name).backend)) == runner_archive()
    installed("device-template")
    more = names_in(runner_archive(RunBy("my-device", kind_of("my-device").backend))) - names_in(runner_archive())
    assert more == {"foxnas/runner/one_image.py", "foxnas_my_device/__init__.py", "foxnas_my_device/backend.py"}
    with pytest.raises(FoxnasError, match=r"there is no module json\.nothing"):
        runner_archive(RunBy("mine", "json.nothing:Backend"))


def test_the_template_is_short_and_times_and_serves_what_it_writes(
    installed: Installer, tmp_path: Path, own_lock: str
) -> None:
    """By a runner that has of it what was sent alone: the package is on no other process' path."""
    lines = [path.read_text().splitlines() for path in (ROOT / "examples" / "device-template").rglob("*.[pt][yo]*")]
    assert 50 < sum(map(len, lines)) <= 100
    installed("device-template")
    config_of("my-device")
    kind = kind_of("my-device")
    space = read_space("mini")
    write = kind.probe_writer(space)
    device = Device("mine", LocalTransport(ran=RunBy("my-device", kind.backend)), backend="my-device", lock=own_lock)
    archs = [space.smallest(16), space.smallest(24)]
    rows, info = measure_probes(
        device,
        QUICK,
        [(arch.id, arch.text, lambda arch=arch: write(arch)) for arch in archs],
        kind.reference(space, None, None)[0],
        tmp_path / "journal.jsonl",
        np.random.default_rng(0),
        made_from=kind.probe_code(),
    )
    assert rows["reason"].tolist() == ["", ""]
    assert set(rows["executor"]) == {"reference"}
    assert info["identity"]["runtime"] == "litert reference"
    assert (rows["latency_ms"] > 0).all()
    images = np.random.default_rng(1).integers(0, 256, (20, 16, 16, 1), np.uint8)
    assert run_sustained(device, sys.executable, QUICK, write(archs[0]), 0.1).runs > 1
    seen = predict_images(device, QUICK, write(archs[0]), images, tmp_path / "answers.jsonl")
    assert (seen.classes == answers(write(archs[0]), images, 1, False)).mean() > 0.9


def test_a_board_gets_what_the_plug_in_pins(installed: Installer) -> None:
    installed("onnx-device")
    pins = read_pins(kind_of("onnxruntime").pins or Path())
    choice = choose(a_device(a_python("3.9"), a_python("3.12")), "onnxruntime", ENVIRONMENTS)
    assert choice.python.minor == "3.12"
    assert set(choice.requirements) == {f"{name}=={version}" for name, (version,) in pins.items()}
    with pytest.raises(FoxnasError, match=r"no onnxruntime is published for aarch64 with Python 3\.9"):
        choose(a_device(a_python("3.9")), "onnxruntime", ENVIRONMENTS)


def test_a_board_is_sent_the_plug_ins_runner_beside_the_plain_one(
    installed: Installer, server: Sshd, own_lock: str
) -> None:
    """Which it lacks otherwise: the board's Python finds the package nowhere."""
    installed("device-template")
    kind = kind_of("my-device")
    write = kind.probe_writer(read_space("mini"))
    plain = SshTransport(server.client(), "tflite", kind_of("tflite").backend)
    plain.start().close()
    plain.close()
    transport = SshTransport(server.client(), "my-device", kind.backend)
    with Runner(Device("mine", transport, backend="my-device", lock=own_lock), QUICK) as runner:
        row = runner.measure("one", write(read_space("mini").smallest(16)))
    transport.close()
    assert row["executor"] == "reference"
    assert len(list(server.board.glob("runner-*.pyz"))) == 2
