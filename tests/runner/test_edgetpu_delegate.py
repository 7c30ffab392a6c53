"""The Edge TPU's delegate: found where it is, and a sentence where it is not. Stick and libedgetpu are fakes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError

MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(warm_up_ms=0, min_runs=3, min_time_ms=0, repeats=1)

# The CPU stands in for the stick, and all but the QUANTIZE at the ends for the operator of a compiled file.
FAKE_PYCORAL = """
from ai_edge_litert.interpreter import Interpreter
def load_edgetpu_delegate(options=None):
    {load}
class FakeCompiled(Interpreter):
    def _get_ops_details(self):
        nodes = super()._get_ops_details()
        return [nodes[0], dict(nodes[1], op_name="edgetpu-custom-op"), *nodes[8:]]
def make_interpreter(model_path_or_content, device=None, delegate=None):
    return FakeCompiled(model_content=model_path_or_content)
"""

# A delegate as libedgetpu.so.1 exports one, that takes no operator. Struct as in tflite/core/c/common.h.
FAKE_LIBEDGETPU = """
#include <stddef.h>
#include <stdint.h>
typedef struct Delegate {
  void* data; int (*prepare)(void*, struct Delegate*); void* copy_from; void* copy_to; void* release;
  int64_t flags; void* builder;
} Delegate;
static int prepare(void* context, Delegate* delegate) { return 0; }
static Delegate fake = {0, prepare, 0, 0, 0, 0, 0};
Delegate* tflite_plugin_create_delegate(const char** k, const char** v, size_t n, void (*error)(const char*)) {
  return &fake;
}
void tflite_plugin_destroy_delegate(Delegate* delegate) {}
"""


@pytest.fixture
def coral(own_lock: str) -> Device:
    """This machine as a Coral host, under a lock of its own."""
    return Device("coral", LocalTransport(), backend="edgetpu", lock=own_lock, timeout_s=60)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a module where the runner's Python finds it."""

    def write(name: str, content: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return write


def test_googles_pycoral_makes_the_interpreter(coral: Device, install: Callable[[str, str], None]) -> None:
    install("pycoral/__init__.py", "")
    install("pycoral/utils/__init__.py", "")
    install("pycoral/utils/edgetpu.py", FAKE_PYCORAL.format(load="return object()"))
    with Runner(coral, QUICK) as session:
        row = session.measure("tiny", MODEL)
        identity = session.identity
    assert [row[name] for name in ("executor", "fallback_operators", "dtype", "batch")] == ["edgetpu", 2, "int8", 1]
    assert identity["accelerator"] == "Edge TPU"


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (
            "import os; os.kill(os.getpid(), 11)",
            r"crashes this Python \(SIGSEGV\): libedgetpu.so.1 was built",
        ),
        ("raise ValueError('Failed to load delegate from libedgetpu.so.1')", r"cannot be loaded \(ValueError: Failed"),
    ],
    ids=["crash", "refusal"],
)
def test_a_delegate_that_crashes_becomes_a_sentence(
    coral: Device, install: Callable[[str, str], None], load: str, message: str
) -> None:
    install("pycoral/__init__.py", "")
    install("pycoral/utils/__init__.py", "")
    install("pycoral/utils/edgetpu.py", FAKE_PYCORAL.format(load=load))
    with pytest.raises(FoxnasError, match=message), Runner(coral, QUICK):
        pass


def test_the_package_on_pypi_is_never_imported(
    coral: Device, install: Callable[[str, str], None], tmp_path: Path
) -> None:
    install("pycoral/__init__.py", f"open({str(tmp_path / 'imported')!r}, 'w')")
    with pytest.raises(FoxnasError, match=r"is libedgetpu.so.1 installed, the stick plugged in"), Runner(coral, QUICK):
        pass
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler for the fake library")
def test_a_file_that_was_not_compiled_is_told_apart(
    coral: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake.c").write_text(FAKE_LIBEDGETPU)
    library = tmp_path / "libedgetpu.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "fake.c"], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with Runner(coral, QUICK) as session:
        assert "not a file of edgetpu_compiler" in session.measure("tiny", MODEL)["error"]
