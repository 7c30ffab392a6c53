"""Digests of the user's own files, which a rule's settings hold as they hold those of the code.

Snakemake looks at an input again only where it is newer than what was made of it, so that a file which is replaced by
an older one (`cp -p`, `mv`, a folder that is unpacked) changes nothing. Read once and remembered in
`.snakemake/foxnas/contents.json` until the file system says that a file is another one or was written to: its time of
change is set by the kernel, and no `cp -p` puts it back.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from foxnas.cli import CONTENTS
from foxnas.files.tables import replacing
from foxnas.flow.checkout import OURS
from foxnas.images.config import EXTENSIONS, DataConfig

_REMEMBERED = OURS / "contents.json"

#: Of a folder with more bytes, names and sizes count; of one with more files, names alone: photographs by the hundred
#: thousand take minutes to read, and seconds to ask for their sizes, each time that the DAG is built.
READ_BYTES = 4 << 30
SIZED_FILES = 100_000

#: A file that was changed so short a time before it was read may be changed again within a tick of the same clock.
_FRESH_NS = 2 * 10**9

_MISSING = "missing"


def of_files(paths: Sequence[str | Path], suffixes: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return what a rule's settings hold of the user's own files that it reads, nothing where there are none."""
    return {CONTENTS: digests(paths, suffixes)} if paths else {}


def of_data(data: DataConfig) -> dict[str, list[str]]:
    """Return the same of the folder that holds the data set; nothing where the data set is fetched."""
    if data.folder is None:
        return {}
    if data.dataset in ("fashion-mnist", "arrays"):
        return of_files([Path(data.folder) / name for name in data.source_files])
    return of_files([data.folder], EXTENSIONS if data.dataset == "folder" else ())


def digests(paths: Iterable[str | Path], suffixes: tuple[str, ...] = ()) -> list[str]:
    """Return a digest of each file or folder, by its bytes and not by its name or its times.

    Of a folder the files with these suffixes count, in any case of letters; without suffixes, all but hidden ones. Of
    what another rule has still to make, a word that says so: Snakemake asks again before it runs the job.
    """
    return [_digest(Path(path), suffixes) for path in paths]


def _digest(path: Path, suffixes: tuple[str, ...]) -> str:
    try:
        names = list(_below(path, suffixes)) if path.is_dir() else [""]
        if not names:
            return _MISSING
        if len(names) > SIZED_FILES:
            return _sha256(names)
        found = {name: (path / name).stat() for name in names}
        state, key = _sha256(map(_state, found, found.values())), str(path.absolute())
        known = _remembered()
        if (digest := known.get(key, {}).get(state)) is not None:
            return digest
        read = sum(stat.st_size for stat in found.values()) <= READ_BYTES
        digest = _sha256(f"{name} {_of_file(path / name) if read else stat.st_size}" for name, stat in found.items())
    except (OSError, ValueError):
        return _MISSING  # whoever reads it says what is wrong with it
    if time.time_ns() - max(stat.st_ctime_ns for stat in found.values()) > _FRESH_NS:
        with suppress(OSError), replacing(_REMEMBERED) as temporary:  # a folder that cannot be written to: next time
            temporary.write_text(json.dumps({**known, key: {state: digest}}))
    return digest


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of the files below a folder, through links, in order; no folder twice, so that loops end."""
    waiting, seen = [("", folder)], set[tuple[int, int]]()
    while waiting:
        prefix, place = waiting.pop()
        known = place.stat()
        if (known.st_dev, known.st_ino) in seen:
            continue
        seen.add((known.st_dev, known.st_ino))
        with os.scandir(place) as entries:
            listed = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda one: one.name)
        waiting += [(f"{prefix}{one.name}/", place / one.name) for one in listed if one.is_dir()][::-1]
        for entry in listed:
            if entry.is_file() and (not suffixes or entry.name.lower().endswith(suffixes)):
                yield prefix + entry.name


def _state(name: str, found: os.stat_result) -> str:
    return f"{name} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered() -> dict[str, dict[str, str]]:
    with suppress(OSError, ValueError):
        known = json.loads(_REMEMBERED.read_text())
        if isinstance(known, dict) and all(isinstance(one, dict) for one in known.values()):
            return known
    return {}
