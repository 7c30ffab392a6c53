"""Jobs of a run, started as forks of a process that has imported what their scripts do: each starts a second sooner.

The run's shells find functions `python` and `snakemake` (forked_jobs.sh, as BASH_ENV says, which outlives other shells
on the way), which ask for a fork and wait for its end. A rule that NOT_FORKED names, like its script, has processes of
its own. A job has the words, folder, environment, output and exit status of a process of its own, descends from the
run, and is of its process group. Not for runs of which a test interrupts or kills single processes, nor for what
Snakemake measures of a job, which is its shell's child no longer.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import socket
import sys
from pathlib import Path
from typing import NoReturn

from tests.support import forks

ROOT = Path(__file__).resolve().parents[2]


def warm_up() -> None:
    """Import all that scripts import."""
    for number, path in enumerate(sorted(ROOT.glob("*/scripts/*.py"))):
        spec = importlib.util.spec_from_file_location(f"warm_up_{number}", path)
        assert spec
        assert spec.loader
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    for plugin in ("snakemake_executor_plugin_slurm", "snakemake_executor_plugin_slurm_jobstep"):
        # A cluster's jobs start an executable, not a shell's function.
        executor = importlib.import_module(plugin).Executor
        executor.get_python_executable = lambda _: os.environ.get("FORKED_EXECUTABLE", sys.executable)


def serve() -> None:
    """Have a server beside this process start the jobs of its shells; it ends with it."""
    address = f"forked-jobs-{os.getpid()}"
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"\0{address}")
    server.listen()
    ended, alive = os.pipe()
    if not os.fork():
        os.close(alive)
        answer(server, ended)
    os.close(ended)
    server.close()
    client = Path(__file__).with_name("forked_job.py")
    os.environ |= {
        "FORKED_JOBS": address, "FORKED_JOB": str(client), "FORKED_PYTHON": sys.executable,
        "BASH_ENV": str(client.with_name("forked_jobs.sh")),
        "FORKED_EXECUTABLE": str(client.with_name("forked_executable.sh")),
    }  # fmt: skip


def answer(server: socket.socket, ended: int) -> NoReturn:
    """Start what is asked for, and wait for it, until nobody writes to the pipe `ended` any more."""
    waiting: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([server, ended, *waiting], [], [])[0]:
            if ready == ended:
                os._exit(0)
            if ready is server:
                connection = server.accept()[0]
                request, (folder, *descriptors) = _read(connection)
                if not (job := os.fork()):
                    words, environment = json.loads(request)
                    forks.take_on(environment, descriptors)
                    os.fchdir(folder)
                    if words[0] == "-m":
                        serve()  # a run of its own, from which its jobs descend
                    forks.become(words)
                for descriptor in (folder, *descriptors):
                    os.close(descriptor)
                waiting[os.pidfd_open(job)] = job, connection
            else:
                job, connection = waiting.pop(ready)
                os.close(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
                with connection:
                    connection.sendall(str(status if status >= 0 else 128 - status).encode())


def _read(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return what a job is asked for, and its folder, standard input and outputs."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 4)
    while part := connection.recv(1 << 16):
        request += part
    return request, descriptors
