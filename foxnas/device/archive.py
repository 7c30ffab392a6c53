"""Packs a module and what it imports of ours into one zip file that any Python runs on a device."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from foxnas.device import plug_in_code
from foxnas.errors import FoxnasError
from foxnas.files import closures
from foxnas.runner import server


class RunBy(NamedTuple):
    """What runs models on a device: the name that the runner is asked for it by, and the class, `module:Class`.

    Without a class, or where the runner has one by that name itself, the runner is sent as it is.
    """

    name: str
    backend: str = ""


def runner_archive(ran: RunBy | None = None) -> bytes:
    """Return the runner, with the backend that it is to have besides its own.

    Start it with ``python -u FILE`` and speak frames.
    """
    program = Path(server.__file__)
    module, _, name = ran.backend.partition(":") if ran else ("", "", "")
    if not ran or not name or ran.name in server.BACKENDS:
        return archive(program)
    try:
        file = plug_in_code.file_of(module)
    except ImportError:
        raise FoxnasError(f"device kind {ran.name}: there is no module {module}, of which backend is a class") from None
    return archive(program, file, f"from {module} import {name}\nBACKENDS[{ran.name!r}] = {name}\n")


@cache
def archive(program: Path, plug_in: Path | None = None, registered: str = "") -> bytes:
    """Return a module of this package, which has a `main`, as a Python zip application; equal sources give equal bytes.

    It holds the module's import closure inside this package, and that of a plug-in's module inside its own and this
    package, so it lacks nothing and carries nothing else. `registered` are the lines that tell `program` of the latter.
    """
    name = ".".join(program.relative_to(closures.PACKAGE.parent).with_suffix("").parts)
    imported = "main, BACKENDS" if registered else "main"
    files = {*closures.closure(program), *(plug_in_code.closure(plug_in) if plug_in else ())}
    named = sorted((plug_in_code.named(path), path) for path in files)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archived:
        for inside, path in named:
            archived.writestr(_undated(inside), path.read_bytes())
        main = f"import sys\nfrom {name} import {imported}\n{registered}sys.exit(main())\n"
        archived.writestr(_undated("__main__.py"), main)
    return content.getvalue()


def _undated(name: str) -> zipfile.ZipInfo:
    """An entry of 1980-01-01, uncompressed, so that neither clock nor zlib shows in the bytes."""
    return zipfile.ZipInfo(name)
