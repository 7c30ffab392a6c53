"""Coral's Edge TPU: a compiled model on the delegate of libedgetpu.

The delegate comes through Google's pycoral where that is installed, else from the shared library itself. A
libedgetpu that does not fit the interpreter takes the whole process down with it, so both are first tried
together in a child.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from foxnas.runner.backend import Backend, Loaded
from foxnas.runner.tflite import find_runtime, nodes_of, resolver, with_random_input

LIBRARY = "libedgetpu.so.1"
#: The operator that stands in a compiled file for all that runs on the Edge TPU.
COMPILED = "edgetpu-custom-op"
_TRIAL = "import sys; sys.path[:0] = {path!r}; from {module} import open_delegate; open_delegate()"


class EdgeTpuBackend(Backend):
    """A TFLite runtime with the Edge TPU delegate."""

    accelerator = "Edge TPU"

    def __init__(self) -> None:
        try_in_child()
        self._module, self.runtime, self.version = find_runtime()
        self._kept = open_delegate()  # while one delegate lives, libedgetpu keeps the stick open

    def open(self, model: bytes, threads: int, xnnpack: bool) -> Any:
        """Return an interpreter that is ready to run; what the Edge TPU leaves runs on the CPU (with
        XNNPACK as pycoral has it, where that makes the interpreter)."""
        if google_pycoral():
            from pycoral.utils import edgetpu

            interpreter = edgetpu.make_interpreter(model)
        else:
            delegates = [self._module.load_delegate(LIBRARY)]
            interpreter = self._module.Interpreter(
                model_content=model,
                num_threads=threads,
                experimental_delegates=delegates,
                experimental_op_resolver_type=resolver(self._module, xnnpack),
            )
        interpreter.allocate_tensors()
        return interpreter

    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        """Return a model that is ready to run. Raises RuntimeError when none of it runs on the Edge TPU."""
        interpreter = self.open(model, settings["threads"], settings["xnnpack"])
        loaded = with_random_input(interpreter, settings["seed"])
        del loaded.facts["delegates"]  # XNNPACK's among them: it takes what the Edge TPU leaves
        names = [node["op_name"] for node in nodes_of(interpreter) or () if node["op_name"] != "DELEGATE"]
        if names and COMPILED not in names:
            raise RuntimeError("the Edge TPU has no part in this model: it is not a file of edgetpu_compiler")
        loaded.facts["fallback_operators"] = len(names) - names.count(COMPILED) if names else None
        loaded.facts["executor"] = "edgetpu"
        return loaded


def google_pycoral() -> bool:
    """Return whether the installed pycoral is Google's.

    The package of that name on PyPI is another, so the files are looked at before anything is imported.
    """
    found = importlib.util.find_spec("pycoral")
    folders = list(found.submodule_search_locations or ()) if found else []
    return any((Path(folder) / "utils" / "edgetpu.py").is_file() for folder in folders)


def open_delegate() -> Any:
    """Return a delegate of the Edge TPU. Raises what the runtime raises when there is none."""
    if google_pycoral():
        from pycoral.utils import edgetpu

        return edgetpu.load_edgetpu_delegate()
    return find_runtime()[0].load_delegate(LIBRARY)


def try_in_child(timeout_s: float = 60.0) -> None:
    """Open the delegate in a child process. Raises RuntimeError when that fails, crashes or never ends."""
    child = [sys.executable, "-c", _TRIAL.format(path=sys.path, module=__name__)]
    try:
        done = subprocess.run(child, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"loading the Edge TPU delegate did not end within {timeout_s:g} s: unplug the stick and "
                           "plug it in again") from None  # fmt: skip
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise RuntimeError(f"loading the Edge TPU delegate crashes this Python ({name}): {LIBRARY} was built for "
                           "another version of the TFLite runtime than is installed here")  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the Edge TPU delegate cannot be loaded ({said[0]}): is {LIBRARY} installed, the stick "
                           "plugged in, and its udev rule in place?")  # fmt: skip
