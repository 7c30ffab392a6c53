"""Tables that can be understood when found alone, and that notice when they were cut or edited.

A table is a CSV file whose first line is a comment with one JSON object: what made the table
(`made_by`), the number of its rows, and the digest of everything below. That object, and a JSON file,
has the digest of its other values under "content_digest".
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foxnas.errors import FoxnasError
from foxnas.files.provenance import TABLE_MARK

if TYPE_CHECKING:  # only tables need it, and not everything that writes a file has it
    import pandas as pd
_DIGEST = "content_digest"


#: The way out of a damaged file that the workflow itself wrote.
MAKE_ANEW = "delete the file and run again to have it made anew"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name on success and vanishes on failure.

    On the disk before it has the name, so that a power cut leaves either file whole. There is one temporary name,
    which whoever writes the file next overwrites: what kills leave does not pile up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part{path.suffix}")
    handle = _only_writer(temporary)
    try:
        yield temporary
        os.fsync(handle)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)  # which is what its reader knows; a write says no name at all
        raise
    finally:
        os.close(handle)


def _only_writer(temporary: Path) -> int:
    """Return a handle of the file, emptied, that other writers wait for; the kernel lets go of it if we are killed."""
    while True:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: there the workflow's own order must do
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == temporary.stat().st_ino:
                os.ftruncate(handle, 0)
                return handle
        os.close(handle)  # while we waited, the writer before us gave the file its name


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an indented JSON object with its digest, whole or not at all. NaN and infinities are refused."""
    text = json.dumps(sealed(value), indent=1) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text)


def read_json(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object. Raises FoxnasError naming the file when it is missing, damaged, edited or without a key.

    An object without a digest, as people write them, is taken as it is.
    """
    try:
        value = json.loads(path.read_text())
        whole = not isinstance(value, dict) or unseal(value)
    except (OSError, ValueError, RecursionError) as error:
        raise FoxnasError(f"{path}: not readable as JSON ({error}); delete it and run again") from error
    if not isinstance(value, dict):
        raise FoxnasError(f"{path}: expected a JSON object; delete it and run again")
    if not whole:
        raise FoxnasError(f"{path}: was edited since it was written; {MAKE_ANEW}")
    if missing := [key for key in keys if key not in value]:
        raise FoxnasError(f"{path}: has no {missing[0]!r}; {MAKE_ANEW}")
    return value


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the digest of its other values."""
    plain = json.loads(json.dumps(value, allow_nan=False))
    return {**plain, _DIGEST: _json_digest(plain)}


def unseal(value: dict[str, Any]) -> bool:
    """Take the digest out of an object; return whether it is that of the rest, or there was none."""
    return value.pop(_DIGEST, None) in (None, _json_digest(value))


def _json_digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_table(path: Path, rows: pd.DataFrame, made_by: Mapping[str, Any]) -> None:
    """Write rows under a header line that says what made them."""
    body = rows.to_csv(index=False, lineterminator="\n")
    if "\r" in body:  # which ends a row unless it stands in quotes, and is put in them only so
        body = rows.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    header = {"made_by": made_by, "rows": len(rows), "sha256": hashlib.sha256(body.encode()).hexdigest()}
    with replacing(path) as temporary:
        temporary.write_text(TABLE_MARK + json.dumps(sealed(header), sort_keys=True) + "\n" + body)


def read_table(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table written by `write_table`.

    Raises FoxnasError when it is missing, truncated, edited, or lacks one of `columns`.
    """
    return _read(path, columns)[0]


def read_tables(paths: Sequence[Path], columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of several tables, in order. Raises FoxnasError like `read_table`."""
    import pandas as pd

    tables = [read_table(path, columns) for path in paths]
    # A table without rows has no types, and would take theirs from the others.
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def row_count(path: Path) -> int:
    """Return how many rows a table says it has, from its first line alone. Raises FoxnasError like `read_table`."""
    try:
        with path.open() as file:
            return int(_header(file.readline(), path)["rows"])
    except OSError as error:
        raise FoxnasError(f"{path}: cannot be read ({error.strerror})") from error


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the `made_by` object of a table."""
    return _read(path, ())[1]


def _read(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    import pandas as pd

    try:
        first, _, body = path.read_bytes().decode().partition("\n")
    except UnicodeDecodeError as error:
        raise FoxnasError(f"{path}: was truncated or edited since it was written ({error}); {MAKE_ANEW}") from error
    except OSError as error:
        raise FoxnasError(f"{path}: cannot be read ({error.strerror})") from error
    header = _header(first, path)
    made_by, rows, digest = header["made_by"], header["rows"], header["sha256"]
    if first.endswith("\r"):  # line ends as an editor or a checkout on Windows writes them
        body = body.replace("\r\n", "\n")
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        found = max(body.count("\n") - 1, 0)
        raise FoxnasError(
            f"{path}: was truncated or edited since it was written ({found} of {rows} rows found); {MAKE_ANEW}"
        )
    table = pd.read_csv(io.StringIO(body), dtype={"id": str, "arch": str})
    if missing := [c for c in columns if c not in table]:
        raise FoxnasError(
            f"{path}: has no column {missing[0]!r} (it has {', '.join(map(str, table.columns))}); {MAKE_ANEW}"
        )
    return table, made_by


def _header(first: str, path: Path) -> dict[str, Any]:
    try:
        if not first.startswith(TABLE_MARK):
            raise ValueError("no header")
        header: dict[str, Any] = json.loads(first.removeprefix(TABLE_MARK))
        if missing := {"made_by", "rows", "sha256"} - header.keys():
            raise ValueError(f"no {missing}")
        if not unseal(header):
            raise ValueError("edited")
    except (ValueError, AttributeError, RecursionError) as error:
        raise FoxnasError(
            f"{path}: is not a table of this workflow, or its first line was edited; {MAKE_ANEW}"
        ) from error
    return header
