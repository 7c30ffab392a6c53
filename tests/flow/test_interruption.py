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

#: As Snakemake: starts a shell and waits. The shell starts programs as fast as it can, as many as it is let.
RUN = """
import subprocess, sys
from foxnas.flow.interruption import end_jobs_with_the_run
end_jobs_with_the_run()
shell = subprocess.Popen(["bash", "-c", "for i in {1..300}; do sleep 60 & done; wait"])
print("started", flush=True)
try:
    shell.wait()
except KeyboardInterrupt:
    sys.exit(3)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
def test_no_process_of_a_shell_that_is_starting_some_outlives_the_run(after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as run:  # fmt: skip
        assert run.stdout
        assert run.stdout.readline() == "started\n"
        time.sleep(after_s)
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
