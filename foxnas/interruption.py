"""What SIGTERM and Ctrl-C do to a run: it ends, with its jobs, within seconds.

Snakemake's own handler of SIGTERM waits until all running jobs are done, which may take hours, while a batch system
waits half a minute. It also takes a lock that the interrupted code may hold, and then waits for itself.
Ctrl-C ends the jobs only where the terminal signals them too. So both become what Snakemake does on Ctrl-C (it
cancels jobs elsewhere and unlocks the folder), after the jobs on this machine were told to end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType

import psutil

#: Seconds after which a job that was told to end is killed.
PATIENCE_S = 10.0


def end_jobs_with_the_run() -> None:
    """Handle SIGTERM and SIGINT in this process, Snakemake's, from now on; called when a run starts."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's & have it
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # Once is enough: who signals again signals the jobs again.
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, lambda *_: _terminate())
    told = _terminate()
    threading.Thread(target=_kill_the_deaf, args=(told,), daemon=True).start()
    raise KeyboardInterrupt


def _terminate() -> list[psutil.Process]:
    told = psutil.Process(os.getpid()).children(recursive=True)
    for process in told:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    return told


def _kill_the_deaf(told: list[psutil.Process]) -> None:
    for process in psutil.wait_procs(told, PATIENCE_S)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
