"""Programs that use Snakemake, started as forks of a process that has imported it: each starts a second sooner.

A fork has the words, folder, environment, output and exit status of a process of its own. What it starts, such as jobs,
are ordinary processes. It has imported the modules of this tree, too, unless it is for another tree of the sources.

All workers of pytest-xdist share that process, which the first to ask starts: to import all that takes seconds.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, NoReturn

from tests.support import forked_jobs, forks

ROOT = Path(__file__).resolve().parents[2]


def python(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    jobs: bool = False,
    elsewhere: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ...`` or ``python -c CODE ...`` in a folder; return its status and what it wrote.

    Its jobs can be forks, too; see `forked_jobs`. Or it is of sources elsewhere.
    """
    kind = "jobs" if jobs else "elsewhere" if elsewhere else "here"
    with tempfile.TemporaryDirectory() as outputs:
        stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
        for path in (stdout, stderr):
            path.touch()
        process = _start(words, folder, environment, [str(stdout), str(stderr)], kind)
        return subprocess.CompletedProcess(
            list(words), _ask(kind, wait=process), stdout.read_text(), stderr.read_text()
        )


@dataclass
class Started:
    """A program that runs, the first of a process group of its own, as `subprocess.Popen` has it."""

    pid: int
    stdout: BinaryIO
    """All that it writes."""
    _kind: str
    _status: int | None = None

    def wait(self) -> int:
        """Return how it ended; negative: by that signal."""
        if self._status is None:
            self._status = _ask(self._kind, wait=self.pid)
        return self._status


def start(words: Sequence[str], folder: Path, environment: Mapping[str, str], *, jobs: bool = False) -> Started:
    """Start such a program, and go on. Its jobs can be forks of its process group; see `forked_jobs`."""
    reading, writing = os.pipe()
    output = f"/proc/{os.getpid()}/fd/{writing}"
    kind = "jobs" if jobs else "here"
    process = _start(words, folder, environment, [output, output], kind, session=True)
    os.close(writing)
    return Started(process, os.fdopen(reading, "rb", buffering=0), kind)


def start_silent(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], *, elsewhere: bool = False
) -> Callable[[], int]:
    """Start such a program, of whose output nothing is kept; return what waits for its end and returns its status."""
    kind = "elsewhere" if elsewhere else "here"
    process = _start(words, folder, environment, [os.devnull, os.devnull], kind)
    return partial(_ask, kind, wait=process)


def _start(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    outputs: Sequence[str],
    kind: str,
    session: bool = False,
) -> int:
    return _ask(
        kind,
        start={
            "words": list(words), "folder": str(folder), "environment": dict(environment), "outputs": list(outputs),
            "session": session,
        }
    )  # fmt: skip


def _ask(kind: str, **question: object) -> int:
    _server(kind)
    with _connected(kind) as server:
        server.sendall(json.dumps(question).encode())
        server.shutdown(socket.SHUT_WR)
        return int(_received(server))


@cache
def _server(kind: str) -> socket.socket:
    """Keep the process of which programs are forks until this one ends: it ends when nobody keeps it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    starting: subprocess.Popen[bytes] | None = None
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return _connected(kind)
        # Of those that several workers start at once, the first has the address, and the others end.
        if starting is None or starting.poll() is not None:
            words = [sys.executable, "-m", "tests.support.forked_python", kind, _address(kind)]
            starting = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=ROOT, env=environment)
        time.sleep(0.02)


def _address(kind: str) -> str:
    return f"forked-python-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}-{kind}"


def _connected(kind: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"\0{_address(kind)}")
    except OSError:
        connection.close()
        raise
    return connection


def _received(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def _serve(kind: str, address: str) -> None:
    """Answer questions, a connection each, until nobody is connected any more."""
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(f"\0{address}")
    except OSError:
        return
    server.listen(100)
    for name in ("numpy", "pydantic", "smart_open", "yaml", "yte"):
        import_module(name)
    import_module("snakemake.cli").get_argument_parser()
    if kind != "elsewhere":
        _warm_up()
    if kind == "jobs":
        forked_jobs.warm_up()
    gc.freeze()  # forks do not look through what they share, which would be to copy it page by page
    connected: set[socket.socket] = set()
    running: dict[int, int] = {}  # processes by the descriptors that tell of their ends
    ended: dict[int, int] = {}
    waiting: dict[int, socket.socket] = {}
    while True:
        for ready in select.select([server, *connected, *running], [], [])[0]:
            if ready is server:
                connected.add(server.accept()[0])
                continue
            if ready in connected:
                connected.remove(ready)
                if not (received := _received(ready)):
                    ready.close()
                    if not (connected or waiting):
                        return
                    continue
                question = json.loads(received)
                if "start" not in question:
                    waiting[question["wait"]] = ready
                else:
                    ours = [one.fileno() for one in (server, ready, *connected, *waiting.values())] + [*running]
                    process = _fork(**question["start"], jobs=kind == "jobs", ours=ours)
                    running[os.pidfd_open(process)] = process
                    ended.pop(process, None)  # of one of that number before it, for which nobody waited
                    _answer(ready, process)
            else:
                process = running.pop(ready)
                os.close(ready)
                ended[process] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            for process in waiting.keys() & ended.keys():
                _answer(waiting.pop(process), ended.pop(process))


def _answer(connection: socket.socket, number: int) -> None:
    with connection, contextlib.suppress(BrokenPipeError):
        connection.sendall(str(number).encode())


def _warm_up() -> None:
    """Import what most programs do of this tree, and read the rules and the modules that they take."""
    for name in ("foxnas.flow.configuration", "foxnas.flow.summary"):
        import_module(name)
    import_module("foxnas.config.whole").read_config(ROOT / "config" / "tiny.yaml")  # what reads a config is kept
    closures = import_module("foxnas.files.closures")
    for script in ROOT.glob("*/scripts/*.py"):
        closures.digest(script)  # kept
    plans = import_module("tests.support.plans")
    plans.parse_once()
    plans.parse(ROOT / "Snakefile", ROOT / "config" / "tiny.yaml")


def _fork(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    outputs: list[str],
    session: bool,
    jobs: bool,
    ours: Iterable[int],
) -> int:
    """Start a program, which has none of our descriptors; return its process."""
    opened = [os.open(os.devnull, os.O_RDONLY), *(os.open(path, os.O_WRONLY) for path in outputs)]
    if not (process := os.fork()):
        for descriptor in ours:
            os.close(descriptor)
        _become(words, folder, environment, opened, session, jobs)
    for descriptor in opened:
        os.close(descriptor)
    return process


def _become(
    words: list[str], folder: str, environment: dict[str, str], opened: list[int], session: bool, jobs: bool
) -> NoReturn:
    forks.take_on(environment, opened)
    if session:
        os.setsid()
        # A shell's background job ignores Ctrl-C and hands that on; what is started here must not.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    if jobs:
        forked_jobs.serve()
    forks.become(words)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
