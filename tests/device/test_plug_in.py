"""Packages that bring a kind of device and are wrong: each fault is one sentence, and none is another package's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foxnas.config.whole import load_config
from foxnas.device import kinds, plug_in_code
from foxnas.device.archive import RunBy
from foxnas.device.kind import DeviceKind, NotWritten
from foxnas.device.kinds import kind_of
from foxnas.device.local import LocalTransport
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.way import Way
from foxnas.errors import FoxnasError
from foxnas.runner.one_image import OneImage
from foxnas.runner.predicting import Predictor
from foxnas.space.config import read_space
from tests.support.configs import written_out
from tests.support.examined import PROMISES, examined
from tests.support.fake_device import ONCE, QUICK, FakeTransport
from tests.support.plug_ins import install_template

SPACE = read_space("mini")

WHOLE = """
    backend = 'of_mine.backend:Backend'
    def probe_writer(self, space):
        return self._written
    def _written(self, arch):
        return b'a model'
    def prepared(self, exported):
        return b'a model'
"""


@pytest.fixture(autouse=True)
def afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Packages of tmp_path are found by this process, whose caches know nothing of others."""
    caches = (kinds.plug_ins, kinds.kind_of, plug_in_code.closure, plug_in_code.digest)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("of_mine", "foxnas_my_device"):
            del sys.modules[name]


def bring(folder: Path, text: str, point: str = "mine = of_mine.kind:Kind", whole: bool = True) -> Path:
    """Install a package whose module `kind` has a class with this body, after one that is right or not."""
    (about := folder / "of_mine-1.dist-info").mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: of_mine\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[foxnas.devices]\n{point}\n")
    (package := folder / "of_mine").mkdir()
    (package / "__init__.py").touch()
    (package / "backend.py").write_text("class Backend:\n    pass\n")
    head = "from pathlib import Path\nfrom foxnas.device.kind import DeviceKind\nclass Kind(DeviceKind):\n"
    (package / "kind.py").write_text(f"{head}{WHOLE if whole else ''}    {text}\n")
    return package


def refused(kind: str = "mine", **device: Any) -> str:
    """Return the one sentence that a config with this kind gets."""
    raw = written_out("tiny")
    raw["devices"][0] |= {"kind": kind, **device}
    with pytest.raises(FoxnasError) as found:
        load_config(raw, "mine.yaml")
    _, *said = str(found.value).splitlines()
    assert len(said) == 1
    return said[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("packages = 'onnxruntime'", "packages is 'onnxruntime', expected a set of names, as frozenset({'a-runtime'})"),
        ("packages = frozenset({3})", "packages is frozenset({3}), expected a set of names"),
        ("backend = None", "backend is None, expected module:Class"),
        ("model_file = None", "model_file is None, expected model.<letters>"),
        ("pins = 'device.txt'", "pins is 'device.txt', expected the Path of a file"),
        ("pins = Path('gone.txt')", "package-data] name it?"),
        ("pins = Path(__file__)", "has none of packages ()"),
        ("own_keys = ('npu',)", "own_keys is ('npu',), expected none"),
        ("needs = {'x': 'y'}", "needs is {'x': 'y'}, expected none"),
        ("defaults = []", "defaults is [], expected a mapping"),
        ("on_cpu = 'yes'", "on_cpu is 'yes', expected True or False"),
        ("backend = 'of_mine.nothing:Backend'", "module of_mine.nothing is not found"),
        ("backend = 'nowhere.at.all:Backend'", "module nowhere.at.all is not found (ModuleNotFoundError"),
        ("backend = 'math:sin'", "expected Python source"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_class_is_said_when_the_config_is_read(tmp_path: Path, text: str, said: str) -> None:
    bring(tmp_path, text)
    found = refused()
    assert "device kind mine of of_mine.kind:Kind: " in found
    assert said in found


def test_a_method_that_is_missing_is_named(tmp_path: Path) -> None:
    bring(tmp_path, "backend = 'of_mine.backend:Backend'", whole=False)
    assert "has no probe_writer, which foxnas/device/kind.py describes; write it" in refused()


@pytest.mark.parametrize(
    ("point", "kind", "said"),
    [
        ("My_Kind = of_mine.kind:Kind", "my-kind", "its entry point is called 'My_Kind', expected a name of small"),
        ("My_Kind = of_mine.kind:Kind", "mykind", "'mykind' is no device kind that is installed (tflite"),
        ("mine = of_mine.kind", "mine", "says 'of_mine.kind', expected module:Class"),
        ("mine = of mine", "mine", "says 'of mine', expected module:Class"),
    ],
)  # fmt: skip
def test_an_entry_point_that_is_none_says_how_it_is_written(tmp_path: Path, point: str, kind: str, said: str) -> None:
    bring(tmp_path, "pass", point)
    assert said in refused(kind)


def test_a_package_that_ends_the_program_on_import_ends_nothing(tmp_path: Path) -> None:
    (bring(tmp_path, "pass") / "kind.py").write_text("raise SystemExit('no\\nlicence')\n")
    assert "cannot be loaded from of_mine.kind:Kind (SystemExit: no licence)" in refused()


def test_two_packages_of_one_name_are_no_reason_to_refuse_a_third(tmp_path: Path) -> None:
    bring(tmp_path, "pass", "mine = of_mine.kind:Kind\ntwice = of_mine.kind:Kind")
    (about := tmp_path / "of_yours-1.dist-info").mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: of_yours\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[foxnas.devices]\ntwice = of_yours:Kind\n")
    assert kind_of("mine").backend == "of_mine.backend:Backend"
    assert "two packages bring a device kind twice" in refused("twice")
    assert "is no device kind" in refused("quantum")


def test_a_module_that_is_no_python_is_named_when_the_config_is_read(tmp_path: Path) -> None:
    """Also one that this host never imports."""
    (bring(tmp_path, "pass") / "backend.py").write_text("class Backend:\n    def load(:\n")
    assert "its code cannot be read (SyntaxError: invalid syntax (backend.py, line 2)); mend" in refused()


def test_a_folder_without_its_init_is_no_package(tmp_path: Path) -> None:
    """Its imports would not be followed: an edit would measure nothing again."""
    (bring(tmp_path, "pass") / "__init__.py").unlink()
    assert "module of_mine.kind lies in a folder without __init__.py" in refused()


def test_a_device_over_ssh_needs_pins_or_a_python_of_its_own(tmp_path: Path) -> None:
    bring(tmp_path, "packages = frozenset({'a-runtime'})")
    assert "devices.0.ssh.python is null, but kind mine has no pins" in refused(ssh={"host": "pi"})
    raw = written_out("tiny")
    raw["devices"][0] |= {"kind": "mine", "ssh": {"host": "pi", "python": "/opt/python"}}
    load_config(raw, "mine.yaml")


CALLS: dict[str, Callable[[DeviceKind], object]] = {
    "prepared": lambda kind: kind.prepared(Path()),
    "probe_writer": lambda kind: kind.probe_writer(SPACE)(SPACE.smallest(16)),
    "reference": lambda kind: kind.reference(SPACE, None, None),
    "comparison_probes": lambda kind: kind.comparison_probes(SPACE, None, None),
    "answers_itself": lambda kind: kind.answers_itself(True, True),
    "advice": lambda kind: kind.advice(ONCE),
    "probe_code": lambda kind: kind.probe_code(),
}


@pytest.mark.parametrize(
    ("body", "call", "said"),
    [
        ("def prepared(self, e): return 'text'", "prepared", "prepared returns 'text', expected bytes"),
        ("def prepared(self, e): return {}['x']", "prepared", r"failed \(KeyError: 'x'; .*kind.py, line \d+\)"),
        ("def probe_writer(self, s): pass", "probe_writer", "returns None, expected a function of one subnet"),
        ("def _written(self, a): pass", "probe_writer", "the writer of probes returns None, expected bytes"),
        ("def _written(self): pass", "reference", r"the writer of probes failed \(TypeError"),
        ("def comparison_probes(self, *a): return {}", "comparison_probes", "models' bytes by name, at least one"),
        ("def comparison_probes(self, *a): return {'../x': b'1'}", "comparison_probes", "models' bytes by name"),
        ("def answers_itself(self, *a): return 'no'", "answers_itself", "expected True or False"),
        ("def advice(self, p): pass", "advice", "advice returns None, expected text"),
        ("def code(self): return ''", "probe_code", "code returns '', expected text, not empty"),
    ],
)  # fmt: skip
def test_what_a_method_returns_and_raises_is_one_sentence(tmp_path: Path, body: str, call: str, said: str) -> None:
    bring(tmp_path, body)
    with pytest.raises(FoxnasError, match=said) as found:
        CALLS[call](kind_of("mine"))
    assert str(found.value).startswith("device kind mine: ")
    assert "\n" not in str(found.value)


def test_a_subnet_that_cannot_be_written_costs_its_own_row(tmp_path: Path) -> None:
    bring(tmp_path, "def _written(self, a): return b'a model' if a != 'p3' else 1 / 0")
    write, fake = kind_of("mine").probe_writer(SPACE), FakeTransport()
    probes: Any = [(f"p{i}", f"arch {i}", lambda i=i: write(f"p{i}")) for i in range(8)]
    with pytest.raises(NotWritten):
        write("p3")  # type: ignore[arg-type]
    table, _ = measure_probes(
        Device("bench", fake), ONCE, probes, b"reference", tmp_path / "j", np.random.default_rng(0)
    )
    assert table["usable"].tolist() == [i != 3 for i in range(8)]
    assert "cannot be run: device kind mine: the writer of probes failed (ZeroDivisionError" in table["reason"][3]
    assert fake.log.count("p3") == 0


def test_what_times_models_is_part_of_the_code_of_a_kind(tmp_path: Path) -> None:
    """The backend, which the kind names and does not import, with what that imports of its package; nothing else."""
    package = bring(tmp_path, "pass")
    (package / "clock.py").touch()
    (package / "unused.py").touch()
    (package / "backend.py").write_text("from of_mine import clock\nfrom foxnas.runner.backend import Backend\n")

    def code() -> str:
        plug_in_code.closure.cache_clear()
        plug_in_code.digest.cache_clear()
        kinds.kind_of.cache_clear()
        return kind_of("mine").code()

    seen = [code()]
    for name in ("unused", "backend", "clock", "kind"):
        with (package / f"{name}.py").open("a") as file:
            file.write("\nEDITED = True\n")
        seen.append(code())
    assert seen[1] == seen[0]
    assert len(set(seen[1:])) == 4


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (np.zeros((1, 3), np.float32), r"answers float32 \(1, 3\) to an image, but `open` said uint8 \(1, 3\)"),
        (np.zeros(3, np.uint8), r"answers uint8 \(3,\) to an image"),
    ],
    ids=["probabilities", "no batch"],
)
def test_answers_of_another_type_or_shape_than_was_said_are_refused(answered: np.ndarray, said: str) -> None:
    """They would become zeros, or one number for every class."""
    model = Predictor(OneImage(lambda image: answered, ((1, 4, 4, 1), "uint8"), ((1, 3), "uint8")))
    with pytest.raises(ValueError, match=said):
        model.answer(bytes(16))


def test_the_doctor_names_the_runtime_to_install(tmp_path: Path) -> None:
    bring(tmp_path, "packages = frozenset({'a-runtime'})", "mine = of_mine.kind:Kind\nbare = of_mine.kind:Bare")
    with (tmp_path / "of_mine" / "kind.py").open("a") as file:
        file.write("class Bare(Kind):\n    packages = frozenset()\n")
    for kind, mend in (("mine", "bin/python -m pip install a-runtime"), ("bare", "")):
        found = examined(failed="runtime", failure="it is not installed in this Python", kind=kind)
        told = diagnose(found, Way(None), PROMISES)[-1].mend
        assert told.endswith(mend)
        assert bool(told) == bool(mend)


def test_a_kind_may_run_its_models_by_a_backend_of_ours(tmp_path: Path, own_lock: str) -> None:
    """Under its own name, which the runner has not."""
    kind_file = install_template(tmp_path) / "kind.py"
    theirs, ours = "foxnas_my_device.backend:MyBackend", "foxnas.runner.tflite:TfliteBackend"
    kind_file.write_text(kind_file.read_text().replace(theirs, ours))
    kind = kind_of("my-device")
    assert kind.backend == ours
    device = Device("mine", LocalTransport(ran=RunBy("my-device", kind.backend)), backend="my-device", lock=own_lock)
    arch = SPACE.smallest(16)
    model = kind.probe_writer(SPACE)(arch)
    table, info = measure_probes(
        device, QUICK, [(arch.id, arch.text, lambda: model)], model, tmp_path / "j", np.random.default_rng(0)
    )
    assert table["usable"].all()
    assert info["identity"]["backend"] == "my-device"
