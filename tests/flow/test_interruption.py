"""A run that is told to end takes with it all that its jobs started, however recently."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

#: As Snakemake: starts a shell and waits.
RUN = """
import subprocess, sys
from foxnas.flow.interruption import end_jobs_with_the_run
end_jobs_with_the_run()
shell = subprocess.Popen(["bash", "-c", sys.argv[1]])
try:
    print("started", flush=True)
    shell.wait()
except KeyboardInterrupt:
    sys.exit(3)
"""

#: Put before it: each shell ends, and is no more, between the moment a look lists the processes and reads them.
VANISHING = """
import os, psutil
listed = psutil._ppid_map
def list_and_wait():
    found = listed()
    for process in psutil.process_iter(["name", "ppid"]):
        if process.info["name"] == "bash" and process.info["ppid"] == os.getpid():
            process.kill()
            os.waitpid(process.pid, 0)
    return found
psutil._ppid_map = list_and_wait
"""

#: A shell that starts programs as fast as it can.
STARTING = "for i in {1..300}; do sleep 60 & done; wait"

#: A shell that ends at once when it is told to, and its program, which takes a moment.
OUTLIVED = "bash -c 'trap \"sleep 0.5; exit\" TERM; while :; do sleep 0.05; done' & wait"


@pytest.mark.parametrize(
    ("shell", "to_all", "after_s"),
    [(STARTING, False, 0.0), (STARTING, False, 0.02), (STARTING, False, 0.1), (OUTLIVED, True, 0.5)],
)
def test_nothing_that_a_job_started_outlives_the_run(shell: str, to_all: bool, after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, shell], stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as run:  # fmt: skip
        assert run.stdout
        assert run.stdout.readline() == "started\n"
        time.sleep(after_s)
        (os.killpg if to_all else os.kill)(run.pid, signal.SIGTERM)
        assert run.wait(timeout=30) == 3
        left = [process for process in psutil.process_iter() if _session(process) == run.pid]
        for process in left:
            process.kill()
        assert not left


def test_a_program_whose_shell_ends_while_it_is_looked_for_is_found_by_the_next_look() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VANISHING + RUN, "sleep 60; true"], stdout=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as run:  # fmt: skip
        assert run.stdout
        assert run.stdout.readline() == "started\n"
        time.sleep(0.5)
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=30) == 3
        left = [process for process in psutil.process_iter() if _session(process) == run.pid]
        for process in left:
            process.kill()
        assert not left


def _session(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None
