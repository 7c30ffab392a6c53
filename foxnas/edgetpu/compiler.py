"""Runs the Edge TPU compiler: one model per call, with a time limit; its output is kept."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from foxnas.edgetpu.check import blocking, check_model
from foxnas.edgetpu.log import UNEXPLAINED, CompileReport, Status, compiler_version, parse_output
from foxnas.errors import FoxnasError
from foxnas.int8.reading import read_summary

#: As on coral.ai, with the key where today's apt wants it.
INSTALL = """\
    curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg \\
      | sudo gpg --dearmor -o /usr/share/keyrings/coral.gpg
    echo "deb [signed-by=/usr/share/keyrings/coral.gpg] https://packages.cloud.google.com/apt" \\
      "coral-edgetpu-stable main" | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list
    sudo apt-get update && sudo apt-get install edgetpu-compiler"""

#: The compiler stops itself at its limit; if it does not, it is stopped so much later.
_GRACE_S = 30

#: Users report "Internal compiler error" and crashes that are gone when the same command runs again.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Compilation:
    """A report, the compiled model if there is one, and everything that the compiler printed."""

    report: CompileReport
    content: bytes | None
    output: str


@dataclass(frozen=True)
class Compiler:
    """`edgetpu_compiler`, or what is given in its place.

    Parameters
    ----------
    executable
        A name on PATH, or a path.
    timeout_s
        Limit for one model; the compiler's own default is 180.
    runtime
        Oldest Edge TPU runtime version that the models must run on.
    """

    executable: str
    timeout_s: int
    runtime: int

    @cached_property
    def path(self) -> str:
        """Where it is. Raises FoxnasError with the commands that install it."""
        if found := shutil.which(self.executable):
            return str(Path(found).absolute())
        machine = platform.machine()
        if machine not in ("x86_64", "AMD64"):
            raise FoxnasError(
                f"{self.executable}: the Edge TPU compiler exists for x86-64 only and this host is {machine}: run the "
                "workflow on an x86-64 machine (the Coral device itself may be any)"
            )
        raise FoxnasError(
            f"{self.executable}: the Edge TPU compiler is not installed here. On a Debian or Ubuntu host:\n{INSTALL}\n"
            "Elsewhere set devices[].compiler.executable to a script that runs it in a container"
        )

    @cached_property
    def version(self) -> str:
        """Its version. Raises FoxnasError when what is there does not run or is something else."""
        try:
            output, _ = self._run(["--version"], Path.cwd(), 60)
        except TimeoutError:
            raise FoxnasError(f"{self.path}: said nothing for 60 s when asked for its version") from None
        if version := compiler_version(output):
            return version
        raise FoxnasError(
            f"{self.path}: is not the Edge TPU compiler; asked for its version it said {output.strip()[:200]!r}"
        )

    def compile(self, content: bytes) -> Compilation:
        """Return the compilation of one .tflite model.

        A model that `foxnas.edgetpu.check` finds wanting is not given to the compiler. Models are never
        compiled together: several on one command line would share the parameter cache among them.

        Raises
        ------
        FoxnasError
            When there is no compiler, never because of the model.
        """
        version = self.version
        if found := blocking(check_model(content, self.runtime)):
            reason = "; ".join(map(str, found))[:400]
            return Compilation(CompileReport(Status.INCOMPATIBLE, reason, version), None, "")
        for _ in range(_ATTEMPTS):
            compilation = self._attempt(content)
            if compilation.report.status is not Status.FAILED or UNEXPLAINED not in compilation.report.reason:
                return compilation
        reason = f"{compilation.report.reason} ({_ATTEMPTS} attempts)"
        return replace(compilation, report=replace(compilation.report, reason=reason))

    def _attempt(self, content: bytes) -> Compilation:
        with tempfile.TemporaryDirectory(prefix="foxnas-edgetpu-") as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(content)
            words = ["--show_operations", "--out_dir", name, "--min_runtime_version", str(self.runtime)]
            words += ["--timeout_sec", str(self.timeout_s), str(folder / "model.tflite")]
            try:
                output, status = self._run(words, folder, self.timeout_s + _GRACE_S)
            except TimeoutError:
                reason = f"stopped after {self.timeout_s + _GRACE_S} s, {_GRACE_S} s after its limit"
                return Compilation(CompileReport(Status.TIMED_OUT, reason, self.version), None, "")
            output = output.replace(f"{folder}{os.sep}", "")
            report = parse_output(output)
            try:
                compiled = (folder / "model_edgetpu.tflite").read_bytes()
            except FileNotFoundError:
                compiled = None
        if status and report.status is Status.FAILED:
            crashed = (status < 0 or status > 128) and UNEXPLAINED not in report.reason
            said = [report.reason, _ending(status), *([UNEXPLAINED] if crashed else [])]
            report = replace(report, reason="; ".join(said))
        elif report.status is Status.COMPILED and (problem := _problem(content, compiled, report)):
            report = replace(report, status=Status.FAILED, reason=problem)
        return Compilation(report, compiled if report.status is Status.COMPILED else None, output)

    def _run(self, words: list[str], folder: Path, limit_s: float) -> tuple[str, int]:
        """Return output and exit status. The compiler starts children; all of them end here."""
        try:
            process = subprocess.Popen(
                [self.path, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=folder, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise FoxnasError(
                f"{self.path}: cannot be started ({error.strerror}); it is an x86-64 Linux program and this host is "
                f"{platform.system()} {platform.machine()}"
            ) from error
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return output.decode(errors="replace"), process.returncode


def _ending(status: int) -> str:
    """An exit status in words. The shell that starts the real compiler reports 128 + n when a signal n killed it."""
    number = -status if status < 0 else status - 128
    if number <= 0:
        return f"exit status {status}"
    name = next((one.name for one in signal.Signals if one == number), f"signal {number}")
    return f"killed by {name}"


def _problem(source: bytes, compiled: bytes | None, report: CompileReport) -> str:
    """What is wrong with a model that is said to be compiled; empty if nothing is."""
    if compiled is None:
        return "the compiler reports success and wrote no model"
    if not report.operators_edgetpu:
        return "no operator was mapped to the Edge TPU: it would be the CPU that is timed"
    try:
        before, after = read_summary(source), read_summary(compiled)
    except FoxnasError as error:
        return f"the compiled model cannot be read back: {error}"
    if (before.image.shape, before.logits.shape) != (after.image.shape, after.logits.shape):
        return f"the compiled model reads {after.image.shape} and writes {after.logits.shape}, not what the source does"
    return ""
