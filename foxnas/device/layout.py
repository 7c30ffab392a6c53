"""Where things lie for a device: here, and in its folder there; stated once for who puts them there and who needs them.

The folder is a path on the device; a relative one starts at the home folder. Nothing of ours lies
outside it, except the lock, which all users of the machine share.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath


def ready_file(device: str) -> str:
    """Return the file of this host's results that says a device of that name is ready."""
    return f"results/devices/{device}/ready.json"


def board_ready_file(device: str, host: str) -> str:
    """Return the file that says so of one board of a rack, which was made ready again."""
    return f"results/devices/{device}/ready-{re.sub(r'[^A-Za-z0-9_.-]', '_', host)}.json"


def boards_file(device: str) -> str:
    """Return the file of what the boards of a rack took for the reference probes."""
    return f"results/devices/{device}/boards.jsonl"


def environment(folder: str, kind: str) -> PurePosixPath:
    """Return the virtual environment of a kind of device (``tflite``, ``edgetpu``, ``torch``).

    It is a link to the environment that was provisioned last, so that it is replaced in one step.
    """
    return PurePosixPath(folder) / kind


def python(folder: str, kind: str) -> PurePosixPath:
    """Return the Python that runs the runner for a kind of device."""
    return environment(folder, kind) / "bin" / "python"


def keyed(folder: str, name: str, content: bytes) -> PurePosixPath:
    """Return the path of a file that is named by its content, so that a file that is there is the right one.

    `name` keeps its suffix: ``runner.pyz`` becomes ``runner-<12 hexadecimal digits>.pyz``.
    """
    path = PurePosixPath(name)
    return PurePosixPath(folder) / f"{path.stem}-{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
