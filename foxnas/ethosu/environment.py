"""The environment that Vela lives in: made once for a results folder, of the versions that are pinned."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)

#: Words that an installation's error is cut to.
_LONGEST = 400


def install(pins: Path, folder: Path) -> Path:
    """Return the `vela` of a new environment in `folder`, which is emptied first.

    Raises FoxnasError when it cannot be installed, with the installer's words and the way out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _log.info("installing the compiler that %s pins in %s", pins.name, folder)
    python = str(folder / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--requirement",
            str(pins),
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-_LONGEST:]
            raise FoxnasError(
                f"{folder}: Vela cannot be installed: {said}. Where there is no network, install ethos-u-vela by other "
                "means and name its program in devices[].npu.executable"
            )
    return program(folder)


def program(folder: Path) -> Path:
    """Return the path of `vela` in an environment."""
    return folder / "bin" / "vela"
