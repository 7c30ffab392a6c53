"""What the syntax tree of a module says: the names that it imports, and a digest of what it does.

What was found is kept beside the byte code and found again by content, so it is never stale. To read all modules anew
takes a fifth of the time in which Snakemake starts here, and a job of a cluster starts it twice.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Syntax(NamedTuple):
    """A module, as far as it matters here."""

    imported: list[str]
    """Names of modules, and of what may be one: `a.b` and `a.b.c` for ``from a.b import c``."""
    digest: str
    """SHA-256 of the tree without docstrings and other strings that stand alone."""


KEPT = Path(__file__).parent / "__pycache__" / f"syntax.{sys.implementation.cache_tag}.json"

_used: dict[str, Syntax] = {}


@cache
def read(content: bytes) -> Syntax:
    """Return what a module of this content says.

    Raises SyntaxError.
    """
    key = hashlib.sha256(_own() + content).hexdigest()
    try:
        _used[key] = Syntax(*_kept()[key])
    except (KeyError, TypeError):
        _used[key] = parse(content)
        atexit.unregister(_keep)
        atexit.register(_keep)
    return _used[key]


def parse(content: bytes) -> Syntax:
    """The same, read off the tree."""
    names: list[str] = []
    words: list[str] = []
    waiting: list[Any] = [ast.parse(content)]
    while waiting:
        item = waiting.pop()
        kind: type = type(item)
        if (fields := _fields(kind)) is None:
            words.append(repr(item))
            continue
        if kind is ast.Import:
            names += [alias.name for alias in item.names]
        elif kind is ast.ImportFrom and item.module and not item.level:
            names += [item.module, *(f"{item.module}.{alias.name}" for alias in item.names)]
        words.append(kind.__name__)
        for field in fields:
            value = getattr(item, field, None)
            # Fields that later Pythons add are empty in what this one reads, so a digest outlives an upgrade.
            if type(value) is list:
                if said := [part for part in value if type(part) is not ast.Expr or not _is_prose(part)]:
                    words.append(f"{field} {len(said)}")
                    waiting += said[::-1]
            elif value is not None:
                words.append(f"{field} 1")
                waiting.append(value)
    return Syntax(names, hashlib.sha256("\n".join(words).encode()).hexdigest())


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    return kind._fields if issubclass(kind, ast.AST) else None


def _is_prose(statement: ast.Expr) -> bool:
    return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


@cache
def _own() -> bytes:
    return Path(__file__).read_bytes()


@cache
def _kept() -> dict[str, Any]:
    try:
        kept = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep() -> None:
    """Write down what this process asked for, if it may."""
    temporary = KEPT.with_name(f"{KEPT.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        KEPT.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(_used))
        temporary.replace(KEPT)
