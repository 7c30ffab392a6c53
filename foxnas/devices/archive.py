"""The runner as one file that any Python runs: `foxnas.devices.runner` and nothing else, zipped."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

from foxnas import code
from foxnas.devices.runner import server

_MAIN = f"import sys\nfrom {server.__name__} import main\nsys.exit(main())\n"


@cache
def runner_archive() -> bytes:
    """Return the archive, a Python zip application; equal sources give equal bytes.

    It holds the import closure of `foxnas.devices.runner.server` inside this package, so it lacks nothing
    and carries nothing else; start it with ``python -u FILE`` and speak frames.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in code.closure(Path(server.__file__)):
            archive.writestr(_undated(path.relative_to(code.PACKAGE.parent).as_posix()), path.read_bytes())
        archive.writestr(_undated("__main__.py"), _MAIN)
    return content.getvalue()


def _undated(name: str) -> zipfile.ZipInfo:
    """An entry of 1980-01-01, uncompressed, so that neither clock nor zlib shows in the bytes."""
    return zipfile.ZipInfo(name)
