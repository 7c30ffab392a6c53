"""Arm's real compiler, started as forks of a process that has imported it: each starts 0.2 CPU seconds sooner."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tests.support import forked_jobs

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def forked(program: str, folder: Path) -> Iterator[str]:
    """Yield a program that is another, of an environment with Vela, to whoever starts it; it lies in `folder`."""
    script, client = folder / "vela.py", Path(__file__).with_name("forked_job.py")
    script.symlink_to(program)
    address = f"forked-vela-{os.getpid()}-{folder}"
    started = folder / "vela"
    words = shlex.join([sys.executable, "-I", "-S", str(client), str(script)])
    started.write_text(f'#!/bin/sh\nFORKED_JOBS={shlex.quote(address)} exec {words} "$@"\n')
    started.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{address}")
        server.listen()
        command = [str(Path(program).with_name("python")), "-m", "tests.support.forked_vela", str(server.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[server.fileno()])
    with process:  # until its standard input is closed
        yield str(started)


def _serve(descriptor: int) -> None:
    import_module("ethosu.vela.vela")
    forked_jobs.answer(socket.socket(fileno=descriptor), sys.stdin.fileno())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
