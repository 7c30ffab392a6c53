"""The folder a run works in: can it be written to, and did the run before it die in there?

Snakemake's lock on a folder outlives a Snakemake that was killed, and says no more than that it is there. So every
run of this workflow also holds a lock that the kernel takes back from the dead. Where that one is free, nobody
works in the folder, and Snakemake's is stale.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import socket
import tempfile
from pathlib import Path
from typing import BinaryIO

from foxnas.errors import FoxnasError
from foxnas.files.orphans import PATIENCE_S, wait_for_jobs
from foxnas.flow.snakemake_private import LOCKS

log = logging.getLogger(__name__)

_RESULTS = Path("results")
_STATE = LOCKS.parent
_OURS = _STATE / "foxnas.lock"

#: Seconds for jobs that a killed run left behind; those on this machine end sooner.
JOBS_END_S = PATIENCE_S + 5

#: Snakemake's own records of a small run; a disk that has not even these free is full.
_NEEDED_BYTES = 1 << 18


def take_folder() -> BinaryIO | None:
    """Release the lock of a run that was killed in the current folder, and return what says that we are here.

    The lock is left to Snakemake's message when another run is alive, or was started on another host, of whose death
    some file systems tell nothing. None where the file system has no locks.

    Raises
    ------
    FoxnasError
        The folder is read-only, or the disk is full, or jobs of a killed run are still at work.
    """
    _check_writable(Path(), _STATE)
    for folder in filter(Path.is_dir, (_RESULTS, _RESULTS / "logs")):
        _check_writable(folder, folder)
    held = _OURS.open("a+b")
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.debug("another run is alive in this folder")
        else:
            if not wait_for_jobs(JOBS_END_S):
                raise FoxnasError(
                    f"{Path().absolute()}: the last run in this folder was killed, and jobs of it are still at work, "
                    "on this machine or on another; wait until they have ended, or end them, then run the same command "
                    "again"
                )
            _release(held)
        fcntl.flock(held, fcntl.LOCK_SH)
    except OSError:
        held.close()
        return None
    except FoxnasError:
        held.close()
        raise
    return held


def _check_writable(named: Path, folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(_NEEDED_BYTES))
    except OSError as error:
        raise FoxnasError(
            f"{named.absolute()}: cannot be written to ({error.strerror}); make room or grant access, or name another "
            "folder with --directory, then run the same command again"
        ) from error


def _release(held: BinaryIO) -> None:
    stale, host = any(LOCKS.glob("*.lock")), socket.gethostname()
    held.seek(0)
    if stale and held.read().decode(errors="replace") != host:
        return
    if stale:
        shutil.rmtree(LOCKS)
        log.warning("The last run in this folder was killed: its lock is released, what it had finished is kept.")
    held.truncate(0)
    held.write(host.encode())
    held.flush()
