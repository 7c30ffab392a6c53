"""The machine at hand as a device: the runner is a child process."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foxnas.device.archive import RunBy, runner_archive
from foxnas.device.transport import STDERR_TAIL, DeviceLost, Ending, Finished, require_bounded
from foxnas.errors import FoxnasError
from foxnas.files.tables import replacing


@dataclass(frozen=True)
class LocalTransport:
    """Runs the runner under `python` on this machine, in a process of its own."""

    python: str = sys.executable
    ran: RunBy | None = None

    @property
    def host(self) -> str:
        """How messages name the machine."""
        return "this machine"

    def start(self) -> LocalStream:
        """Start one runner."""
        return LocalStream(self.python, self.ran)

    def run(self, command: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        """Run a command in the home folder; see `Transport.run`."""
        deadline = time.monotonic() + timeout_s
        with tempfile.TemporaryFile() as given:  # a command that wants none of its input still has its say
            given.write(stdin)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path.home(), bufsize=0
                )
            except OSError as error:
                return Finished(127, b"", f"{command[0]}: {error.strerror}".encode())
        with process:
            try:
                out, errors = self._output(process, command[0], deadline)
                return Finished(process.wait(max(deadline - time.monotonic(), 0)), out, errors)
            except (TimeoutError, subprocess.TimeoutExpired):
                raise DeviceLost(f"{self.host}: {command[0]} has not ended after {timeout_s:g} s") from None
            finally:
                process.kill()

    def _output(self, process: subprocess.Popen[bytes], program: str, deadline: float) -> tuple[bytes, bytes]:
        """Return all of a command's stdout and the end of its stderr. Raises TimeoutError."""
        assert process.stdout
        assert process.stderr
        written = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        out, errors = written.values()
        waiting = [*written]
        while waiting:
            left = deadline - time.monotonic()  # what writes all the time has not ended either
            if left <= 0 or not (ready := select.select(waiting, [], [], left)[0]):
                raise TimeoutError
            for pipe in ready:
                data = os.read(pipe, 1 << 16)
                if not data:
                    waiting.remove(pipe)
                written[pipe] += data
            require_bounded(self.host, program, len(out))
            del errors[:-STDERR_TAIL]
        return bytes(out), bytes(errors)

    def upload(self, content: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write a file, whole or not at all, with the folder it lies in; a relative path starts at the home folder."""
        try:
            with replacing(Path.home() / path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise FoxnasError(f"{path} cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Nothing is kept open."""


class LocalStream:
    """A child process' stdin and stdout, with time limits."""

    def __init__(self, python: str, ran: RunBy | None = None) -> None:
        self._archive = tempfile.NamedTemporaryFile(prefix="foxnas-runner-", suffix=".pyz")  # noqa: SIM115
        self._archive.write(runner_archive(ran))
        self._archive.flush()
        # A file, because nobody drains a pipe while the runner times a model.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the stream
        try:
            self._process = subprocess.Popen(
                [python, "-u", self._archive.name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self._archive.close()
            self._errors.close()
            raise FoxnasError(f"{python}: cannot be started ({error.strerror}): set the device's python") from error
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)

    @property
    def pid(self) -> int:
        """The runner's process."""
        return self._process.pid

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        deadline = time.monotonic() + timeout_s
        while rest:
            if not select.select([], [self._stdin], [], max(deadline - time.monotonic(), 0))[1]:
                raise TimeoutError
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BrokenPipeError:
                raise DeviceLost("the runner ended") from None

    def receive(self, timeout_s: float) -> bytes:
        """Return some bytes, none at the end of the stream."""
        if not select.select([self._stdout], [], [], timeout_s)[0]:
            raise TimeoutError
        return os.read(self._stdout, 1 << 16)

    def stderr_tail(self) -> str:
        """Return the last lines of the runner's stderr."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), STDERR_TAIL, max(size - STDERR_TAIL, 0)).decode(errors="replace").strip()

    def ending(self) -> Ending:
        """Return how the process ended."""
        try:
            return Ending(self._process.wait(timeout=5))
        except subprocess.TimeoutExpired:
            return Ending(None)

    def close(self) -> None:
        """Close both directions; a runner that does not end by itself then is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe
                pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._archive.close()
