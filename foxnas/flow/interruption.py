"""What SIGTERM and Ctrl-C do to a run: it ends, with its jobs, within seconds.

Snakemake's own handler of SIGTERM waits until all running jobs are done, which may take hours, while a batch system
waits half a minute. It also takes a lock that the interrupted code may hold, and then waits for itself.
Ctrl-C ends the jobs only where the terminal signals them too. So both become what Snakemake does on Ctrl-C (it
cancels jobs elsewhere and unlocks the folder), after the jobs on this machine were told to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from types import FrameType

import psutil

#: Of Linux' <linux/prctl.h>.
_PR_SET_CHILD_SUBREAPER = 36

#: Seconds after which a job that was told to end is killed.
PATIENCE_S = 10.0

#: Seconds that a killed job may take to be gone; one that waits for a network disk may take longer than anybody waits.
DYING_S = 5.0


def end_jobs_with_the_run() -> None:
    """Handle SIGTERM and SIGINT in this process, Snakemake's, from now on; called when a run starts."""
    if threading.current_thread() is not threading.main_thread():
        return
    # What a job's shell leaves behind when it is signalled first becomes a child of this process, not of the system's.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's & have it
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # Once is enough: who signals again signals the jobs again.
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, lambda *_: _terminate(set()))
    told: set[psutil.Process] = set()
    until = time.monotonic() + PATIENCE_S
    # Nobody may write to the folder once it is unlocked. Looked at, not waited for: how they ended is for Snakemake.
    # Two looks in a row must find nobody: a look misses those whose parent ends while it goes on, and they are children
    # of this process at the next.
    quiet = 0
    while quiet < 2 and time.monotonic() < until + DYING_S:
        quiet = 0 if _terminate(told) or any(map(_lives, told)) else quiet + 1
        if time.monotonic() > until:
            for process in told:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        time.sleep(0.05)
    raise KeyboardInterrupt


def _terminate(told: set[psutil.Process]) -> bool:
    """Tell all processes below this one to end, but those in `told`, to which they are added; say whether any was new.

    They stand still meanwhile: a shell that was told might have started its program a moment ago, and nobody would find
    that one any more.
    """
    new: set[psutil.Process] = set()
    while found := set(psutil.Process(os.getpid()).children(recursive=True)) - told - new:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        new |= found
    for process in new:
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()
    told |= new
    return bool(new)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
