"""Arm's real compiler for the tests: installed once, as the workflow does it, and kept for the next ones.

In the folder that FOXNAS_VELA names, rather than ``~/.cache/foxnas/vela``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from functools import cache
from pathlib import Path

from foxnas.ethosu.environment import install, program

PINS = Path(__file__).resolve().parents[2] / "envs" / "host-ethos-u.txt"


@cache
def vela() -> str:
    """Return the path of the program that is pinned."""
    kept = Path(os.environ.get("FOXNAS_VELA") or Path.home() / ".cache" / "foxnas" / "vela")
    folder = kept / hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").is_file():
            install(PINS, folder)
            (folder / "whole").touch()
    return str(program(folder))
