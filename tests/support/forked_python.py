"""Programs that use Snakemake, started as forks of a process that has imported it: each starts a second sooner.

A fork has the words, folder, environment, output and exit status of a process of its own. What it starts, such as jobs,
are ordinary processes. It has imported the modules of this tree, too, unless it is for another tree of the sources.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
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
    server = _server(kind)
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps(question) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server(kind: str) -> subprocess.Popen[str]:
    """The process of which programs are forks; it ends with this one."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked_python", kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    atexit.register(server.communicate)
    return server


def _serve(kind: str) -> None:
    """Answer questions until there are no more."""
    for name in ("numpy", "pydantic", "smart_open", "yaml", "yte"):
        import_module(name)
    import_module("snakemake.cli").get_argument_parser()
    if kind != "elsewhere":
        _warm_up()
    if kind == "jobs":
        forked_jobs.warm_up()
    gc.freeze()  # forks do not look through what they share, which would be to copy it page by page
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        else:
            program = question["start"]
            outputs = [os.open(path, os.O_WRONLY) for path in program.pop("outputs")]
            if not (answer := os.fork()):
                _become(**program, outputs=outputs, jobs=kind == "jobs")
            for descriptor in outputs:
                os.close(descriptor)
        print(answer, flush=True)


def _warm_up() -> None:
    """Import what most programs do of this tree, and read the rules and the modules that they take."""
    for name in ("foxnas.flow.configuration", "foxnas.flow.summary"):
        import_module(name)
    closures = import_module("foxnas.files.closures")
    for script in ROOT.glob("*/scripts/*.py"):
        closures.digest(script)  # kept
    plans = import_module("tests.support.plans")
    plans.parse_once()
    plans.parse(ROOT / "Snakefile", ROOT / "config" / "tiny.yaml")


def _become(
    words: list[str], folder: str, environment: dict[str, str], outputs: list[int], session: bool, jobs: bool
) -> NoReturn:
    forks.take_on(environment, [os.open(os.devnull, os.O_RDONLY), *outputs])
    if session:
        os.setsid()
        # A shell's background job ignores Ctrl-C and hands that on; what is started here must not.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    if jobs:
        forked_jobs.serve()
    forks.become(words)


if __name__ == "__main__":
    _serve(sys.argv[1])
