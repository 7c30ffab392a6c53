"""Packs a module and what it imports of ours into one zip file that any Python runs on a device."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

from foxnas.files import closures
from foxnas.runner import server


def runner_archive() -> bytes:
    """Return the runner; start it with ``python -u FILE`` and speak frames."""
    return archive(Path(server.__file__))


@cache
def archive(program: Path) -> bytes:
    """Return a module of this package, which has a `main`, as a Python zip application; equal sources give equal bytes.

    It holds the module's import closure inside this package, so it lacks nothing and carries nothing else.
    """
    name = ".".join(program.relative_to(closures.PACKAGE.parent).with_suffix("").parts)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archived:
        for path in closures.closure(program):
            archived.writestr(_undated(path.relative_to(closures.PACKAGE.parent).as_posix()), path.read_bytes())
        archived.writestr(_undated("__main__.py"), f"import sys\nfrom {name} import main\nsys.exit(main())\n")
    return content.getvalue()


def _undated(name: str) -> zipfile.ZipInfo:
    """An entry of 1980-01-01, uncompressed, so that neither clock nor zlib shows in the bytes."""
    return zipfile.ZipInfo(name)
