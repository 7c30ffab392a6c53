"""A job ends with the run that started it, and the next run waits until it has.

A Snakemake that is killed alone, as by a system out of memory, takes no job with it: they are children of shells, which
go on. The next run started the same jobs beside them, also beside a timing. So each job looks after its run, and holds
a lock for as long as it lives, however it was started; where the run was on another host, that lock alone tells of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import threading
import time
from pathlib import Path
from typing import BinaryIO

#: The process of the run, and where its number means something.
RUN = "FOXNAS_RUN"

#: Held by every job, shared, until it ends; beside Snakemake's own state, which makes a folder that of a run.
_LOCK = Path(".snakemake") / "foxnas.jobs.lock"

#: Seconds that a job has to end by itself when its run is gone, before it is killed.
PATIENCE_S = 10.0

#: The lock of this process: the kernel lets go of it when it ends, however it does.
_held: list[BinaryIO] = []


def announce_run() -> None:
    """Let the jobs that this process starts know whose they are."""
    os.environ[RUN] = f"{os.getpid()} {_processes()}"


def end_with_the_run() -> None:
    """Say that this process is at work in the current folder, and have it told to end (SIGTERM) when its run is gone.

    Nothing of it where it was started by hand. Raises KeyboardInterrupt when the run is gone already.
    """
    if _LOCK.parent.is_dir():
        with contextlib.suppress(OSError):  # a file system without locks, or a folder that cannot be written to
            _held.append(_LOCK.open("ab"))
            fcntl.flock(_held[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
    run, _, where = os.environ.get(RUN, "").partition(" ")
    if not run or where != _processes():
        return
    try:
        gone = os.pidfd_open(int(run))
    except ProcessLookupError:
        raise KeyboardInterrupt from None
    except (AttributeError, OSError):  # no Linux, or one before 5.3
        return
    if _is_an_orphan(int(run)):
        raise KeyboardInterrupt
    threading.Thread(target=_end_after, args=(gone,), daemon=True, name="end with the run").start()


def _processes() -> str:
    """Return what tells apart machines, their boots and containers: within one, a number names one process."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _end_after(gone: int) -> None:
    select.select([gone], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _is_an_orphan(run: int) -> bool:
    """Whether this process certainly does not descend from that one, which started it.

    A parent that the system hides, such as a container's starter, says nothing; process 1 is a container's command.
    """
    process, seen = os.getppid(), set[int]()
    while process > 0 and process not in seen:
        if process == run:
            return False
        seen.add(process)
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
    return True


def wait_for_jobs(patience_s: float) -> bool:
    """Wait until no job is at work in the current folder; return whether that is so. To be called before any starts."""
    until = time.monotonic() + patience_s
    while True:
        try:
            with _LOCK.open("ab") as trial:
                fcntl.flock(trial, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        except OSError:  # no locks there
            return True
