"""The workflow's own files, as a working directory sees them: by paths that stay when the checkout moves.

Snakemake remembers the set of a job's inputs by their paths, so a checkout that was cloned elsewhere would
run everything again. Outside the checkout its files are therefore reached through a link, and what a script
consists of is one recorded file instead of 20 to 70 modules, which would be most of what Snakemake looks
at in a large workflow. Both lie in `.snakemake/foxnas/` of the working directory, beside Snakemake's memory.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

from foxnas.files import closures

BASE = Path(__file__).resolve().parents[2]
OURS = Path(".snakemake") / "foxnas"
LINK = OURS / "checkout"


def seen(path: Path) -> str:
    """Return the path of a file of the checkout, from the working directory.

    In the checkout itself it is relative to it, elsewhere it goes through a link, made or mended here.
    """
    inside = str(path.relative_to(BASE))
    if BASE.samefile(os.curdir):
        return inside
    try:
        found = LINK.readlink()
    except OSError:
        found = None
    if found != BASE:
        _replace(LINK, lambda temporary: temporary.symlink_to(BASE))
    return f"{LINK}{os.sep}{inside}"


def recorded(script: Path) -> str:
    """Return the file, from the working directory, that lists a script's modules with their digests.

    It is written when the list changed, so it is newer than what the code as it was has made, whatever the
    modules' time stamps and whether or not Snakemake's metadata are at hand. A lost one takes the time of its
    newest module: losing it says nothing about the code.
    """
    file = OURS / "code" / f"{script.stem}.sha256"
    listing = closures.listing(script)
    before = file.read_text() if file.exists() else None
    if before != listing:

        def write(temporary: Path) -> None:
            temporary.write_text(listing)
            if before is None:
                newest = max(path.stat().st_mtime for path in closures.closure(script))
                os.utime(temporary, (newest, newest))

        _replace(file, write)
    return str(file)


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    """Make a file anew, whole or not at all: jobs on other nodes, and dry runs, parse at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        make(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
