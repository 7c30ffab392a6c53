"""Which of our modules a script imports, and a digest of what they do, found without running them.

Snakemake does not see the modules that a script imports, so every rule takes the list of its script's
closure as an input and carries its digest in a param: an edited library module then reruns exactly the
rules that reach it, also when its time stamp is old.
"""

from __future__ import annotations

import ast
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def closure(script: Path) -> tuple[Path, ...]:
    """Return the script and every module of this package, and of the one it lies in, that it reaches by import, sorted.

    Imports inside functions count too, and so do the templates beside a module.
    """
    found: dict[Path, None] = {}
    waiting = [script.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting += [*_imported(path), *sorted((path.parent / "templates").glob("*.*"))]
    return tuple(sorted(found))


@cache
def listing(script: Path) -> str:
    """Return the closure with what decides about results: a digest of its meaning and a path in each line."""
    return "".join(f"{meaning(path)}  {os.path.relpath(path, PACKAGE.parent)}\n" for path in closure(script))


@cache
def digest(script: Path) -> str:
    """Return twelve hexadecimal digits that depend on all that the closure does, and on none of its prose."""
    return hashlib.sha256(listing(script).encode()).hexdigest()[:12]


def meaning(path: Path) -> str:
    """Return the SHA-256 of what a file does: of a module its syntax tree, of any other file every byte.

    The tree has no comments and no layout, and is taken without docstrings and other strings that stand alone. A mended
    sentence therefore measures nothing again; a changed constant, default, decorator or regular expression does.
    """
    content = path.read_bytes()
    return _module(content)[1] if path.suffix == ".py" else hashlib.sha256(content).hexdigest()


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    ours = {PACKAGE.name}
    if path.is_relative_to(PACKAGE.parent):
        ours.add(path.relative_to(PACKAGE.parent).parts[0])
    names = _module(path.read_bytes())[0]
    return tuple(file for name in names if name.partition(".")[0] in ours for file in _files_of(name))


@cache
def _module(content: bytes) -> tuple[tuple[str, ...], str]:
    """Return the names that a module may import, and the digest of its tree."""
    names: list[str] = []
    words: list[str] = []
    waiting: list[Any] = [ast.parse(content)]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, ast.AST):
            words.append(repr(item))
            continue
        if isinstance(item, ast.Import):
            names += [alias.name for alias in item.names]
        elif isinstance(item, ast.ImportFrom) and item.module and not item.level:
            names += [item.module, *(f"{item.module}.{alias.name}" for alias in item.names)]
        words.append(type(item).__name__)
        for field, value in ast.iter_fields(item):
            parts = value if isinstance(value, list) else [] if value is None else [value]
            # Fields that later Pythons add are empty in what this one reads, so a digest outlives an upgrade.
            if said := [part for part in parts if not _is_prose(part)]:
                words.append(f"{field} {len(said)}")
                waiting += said[::-1]
    return tuple(names), hashlib.sha256("\n".join(words).encode()).hexdigest()


def _is_prose(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _files_of(module: str) -> list[Path]:
    files: list[Path] = []
    folder = PACKAGE.parent
    for name in module.split("."):
        if (folder / "__init__.py").is_file():
            files.append(folder / "__init__.py")
        if (folder / f"{name}.py").is_file():
            return [*files, folder / f"{name}.py"]
        folder = folder / name
    return [*files, folder / "__init__.py"] if (folder / "__init__.py").is_file() else files
