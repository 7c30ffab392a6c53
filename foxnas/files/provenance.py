"""What an artefact says of its making, read off the file itself, whatever its format and without reading all of it.

Read while the DAG is built, where Snakemake's own records of a job are lost: nothing heavy is imported here.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

#: Begins the first line of a table.
TABLE_MARK = "# foxnas table "

#: Of an array, behind the digest of its numbers; of a page, in its head.
ARRAY_MARK = b"made_by "
_ARRAY_END = re.compile(rb"\nsha256 [0-9a-f]{64}\n%s(\{.*\})\n\Z" % ARRAY_MARK)
PAGE_MARK = "foxnas-made-by"
_PAGE_HEAD = re.compile(rf'<meta name="{PAGE_MARK}" content="([^"]*)">')

#: Of a supernet that was taken from a checkpoint, whose own `made_by` stays; asked for first.
TAKEN_BY = "taken_by"

#: More than the record behind an array, or the head of a page, takes.
_TAIL_BYTES = 1 << 18
_HEADER_BYTES = 100 << 20


def recorded(path: Path) -> dict[str, Any] | None:
    """Return what made an artefact; None where it is not there, or does not say."""
    read = _READERS.get(path.suffix)
    try:
        made_by = read(path) if read else None
    except (OSError, ValueError, AttributeError, RecursionError):  # its reader will say what is wrong with it
        return None
    return made_by if isinstance(made_by, dict) else None


def recorded_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings that an artefact was made with; None where it is not there, or does not say."""
    settings = (recorded(path) or {}).get("settings")
    return settings if isinstance(settings, dict) else None


def recorded_making(path: Path) -> dict[str, Any] | None:
    """Return what a rule may be held to: an artefact's settings, its `script`, and which `inputs` that was given."""
    made_by = recorded(path) or {}
    settings = made_by.get("settings")
    if not isinstance(settings, dict):
        return None
    return {**settings, **{name: made_by[name] for name in ("script", "inputs") if name in made_by}}


def differing(one: Any, other: Any, defaulted: Collection[str] = (), name: str = "") -> list[str]:
    """Return the leaves by which two settings differ, each as a dotted name.

    What only one of them has, another version of the workflow has added or dropped: of that, nobody can tell; but for
    keys that are left out at their default, which are `defaulted`.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found = []
        for key in [*one, *(key for key in other if key not in one)]:
            path = f"{name}.{key}".lstrip(".")
            if key in one and key in other:
                found += differing(one[key], other[key], defaulted, path)
            elif key in defaulted:
                found.append(path)
        return found
    return [] if _alike(one, other) else [name]


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are equal: 20 is 20.0, as versions of a config may spell it, and 1 is no true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def leaf(settings: Any, name: str) -> str:
    """Return the value of a dotted name as JSON, in words where it is left out."""
    for part in name.split("."):
        if part not in settings:
            return "its default"
        settings = settings[part]
    return json.dumps(settings)


def _of_table(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        first = file.readline(_HEADER_BYTES)
    return json.loads(first.removeprefix(TABLE_MARK))["made_by"] if first.startswith(TABLE_MARK) else None


def _of_json(path: Path) -> Any:
    return json.loads(path.read_text()).get("made_by")


def _of_array(path: Path) -> Any:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        found = _ARRAY_END.search(file.read())
    return json.loads(found[1]) if found else None


def _of_weights(path: Path) -> Any:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER_BYTES:
            return None
        metadata = json.loads(file.read(length)).get("__metadata__", {})
    return json.loads(metadata.get(TAKEN_BY) or metadata.get("made_by", "null"))


def _of_page(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        found = _PAGE_HEAD.search(file.read(_TAIL_BYTES))
    return json.loads(html.unescape(found[1])) if found else None


_READERS = {
    ".csv": _of_table, ".json": _of_json, ".npy": _of_array, ".safetensors": _of_weights, ".html": _of_page,
}  # fmt: skip
