"""Runs Vela, Arm's compiler for the Ethos-U: one model per call, with a time limit."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from foxnas.device.npu import NpuSettings
from foxnas.errors import FoxnasError
from foxnas.ethosu.summary import Estimate, read_estimate

#: The configuration file that comes with Vela, as its --config takes it.
SHIPPED = "Arm/vela.ini"

#: Longest time that a first import may take, on a cold disk.
_START_S = 120


@dataclass(frozen=True)
class Compilation:
    """A compiled model with its estimate, or the reason why there is neither."""

    estimate: Estimate | None
    content: bytes | None
    reason: str = ""


@dataclass(frozen=True)
class Vela:
    """`vela`, for one NPU.

    Parameters
    ----------
    executable
        A name on PATH, or a path.
    npu
        What it compiles for.
    """

    executable: str
    npu: NpuSettings

    @cached_property
    def path(self) -> str:
        """Where it is. Raises FoxnasError when it is nowhere."""
        if found := shutil.which(self.executable):
            return str(Path(found).absolute())
        raise FoxnasError(
            f"{self.executable}: Arm's compiler Vela is not there. Install it (pip install ethos-u-vela) and name it "
            "in devices[].npu.executable; where that is null the workflow installs it: delete "
            "results/ethos-u-compiler/ready.json and run again"
        )

    @cached_property
    def version(self) -> str:
        """Its version. Raises FoxnasError when what is there does not run, or is something else."""
        return version_of(self.path)

    def compile(self, content: bytes) -> Compilation:
        """Return the compilation of a .tflite model; one that Vela refuses, or is too slow with, has a reason.

        Raises FoxnasError when there is no Vela, or what it wrote cannot be believed.
        """
        npu = self.npu
        with tempfile.TemporaryDirectory(prefix="foxnas-ethos-u-") as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(content)
            words = ["--config", SHIPPED, "--accelerator-config", npu.accelerator_config]
            words += ["--system-config", npu.system_config, "--memory-mode", npu.memory_mode]
            try:
                words += ["--output-dir", name, str(folder / "model.tflite")]
                said = _run([self.path, *words], folder, npu.timeout_s)
            except subprocess.TimeoutExpired:
                return Compilation(None, None, f"Vela was stopped after {npu.timeout_s} s")
            if said.returncode:
                return Compilation(None, None, f"Vela failed: {_last_words(said)}")
            try:
                compiled = (folder / "model_vela.tflite").read_bytes()
            except FileNotFoundError:
                raise FoxnasError(f"{self.path}: reports success and wrote no model: {_last_words(said)}") from None
            summary = folder / f"model_summary_{npu.system_config}.csv"
            return Compilation(read_estimate(summary, content, compiled, npu), compiled)


def version_of(program: str) -> str:
    """Return the version that a Vela says. Raises FoxnasError when it does not run, or is something else."""
    try:
        said = _run([program, "--version"], Path.cwd(), _START_S)
    except subprocess.TimeoutExpired:
        raise FoxnasError(f"{program}: said nothing for {_START_S} s when asked for its version") from None
    if said.returncode == 0 and re.fullmatch(r"\d+\.\d+\S*", said.stdout.strip()):
        return said.stdout.strip()
    raise FoxnasError(
        f"{program}: is not Vela; asked for its version it said {(said.stdout + said.stderr).strip()[-200:]!r}"
    )


def _run(command: list[str], folder: Path, limit_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, cwd=folder,
            timeout=limit_s,
        )  # fmt: skip
    except OSError as error:
        raise FoxnasError(f"{command[0]}: cannot be started ({error.strerror})") from error


def _last_words(said: subprocess.CompletedProcess[str]) -> str:
    """Return the error of what it printed, else the last line; how it ended, where it printed nothing."""
    lines = [line.strip() for line in (said.stdout + "\n" + said.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)\S*error\b", line)]
    ending = f"killed by signal {-said.returncode}" if said.returncode < 0 else f"exit status {said.returncode}"
    return f"{(errors or lines or [ending])[-1][:300]} ({ending})" if errors or lines else ending
