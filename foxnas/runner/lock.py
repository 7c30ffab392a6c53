"""One session at a time on a machine, whoever starts it: a lock that dies with its holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def lock_path(name: str) -> Path:
    """Return the lock's file: in /tmp whatever TMPDIR says, since two jobs may well have different ones."""
    folder = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return folder / f"foxnas-{re.sub('[^A-Za-z0-9_.-]', '_', name)}.lock"


def acquire_lock(name: str, holder: str, waiting: Callable[[str], None]) -> BinaryIO:
    """Return a file that holds the machine's lock until this process ends, by whatever death.

    `holder` says to those who wait who has it. `waiting` is called with the other holder's note at once and
    then every two seconds.
    """
    path = lock_path(name)
    while True:
        try:  # without O_CREAT first: the kernel may refuse that for another user's file in a sticky folder
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                mask = os.umask(0)  # other users must be able to wait for it, from the first moment
                try:
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
                finally:
                    os.umask(mask)
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise RuntimeError(f"{path} is a symbolic link, which no lock of ours is: remove it") from None
        file = os.fdopen(handle, "r+b", buffering=0)
        announced = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() - announced > 2:
                announced = time.monotonic()
                waiting(os.pread(file.fileno(), 200, 0).decode("utf-8", "replace").strip())
            time.sleep(0.1)
        with contextlib.suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                file.truncate(0)
                note = f"{holder}, process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
                os.pwrite(file.fileno(), note.encode("utf-8", "replace")[:200], 0)
                return file
        file.close()  # someone removed the file while we waited: what we hold is not what others will see
