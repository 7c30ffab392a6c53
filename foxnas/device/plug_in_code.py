"""The modules of a plug-in's package that one of them imports, and a digest of what they do.

As `foxnas.files.closures` has them for this package; of a plug-in relative imports count too.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from foxnas.files import closures

_OURS = closures.PACKAGE.parent


def parent_of_package(module: Path) -> Path:
    """Return the folder that a module is imported from: the one that holds the outermost package it lies in."""
    folder = module.resolve().parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


@cache
def closure(module: Path) -> tuple[Path, ...]:
    """Return the module and all that importing it runs of its own package and of this one, sorted."""
    found: set[Path] = set()
    parts = module.resolve().relative_to(home := parent_of_package(module)).with_suffix("").parts
    waiting = _files_of(".".join(parts), home)
    while waiting:
        path = waiting.pop()
        if path.is_relative_to(closures.PACKAGE):
            found |= set(closures.closure(path))
        elif path not in found:
            found.add(path)
            waiting += _imported(path)
    return tuple(sorted(found))


@cache
def digest(module: Path, backend: str = "") -> str:
    """Return twelve hexadecimal digits that depend on all that a kind does, wherever it is installed.

    Parameters
    ----------
    module
        The kind's own: its closure counts.
    backend
        Name of the module that runs models: what of its closure is not of this package counts.
    """
    if module.resolve().is_relative_to(closures.PACKAGE):
        return closures.digest(module)
    timing = closure(file_of(backend)) if backend else ()
    files = {*closure(module), *(path for path in timing if not _is_ours(path))}
    lines = sorted(f"{closures.meaning(path)}  {named(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def file_of(module: str) -> Path:
    """Return the file of a module, which is not imported, but for the packages that it lies in. Raises ImportError."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ImportError(f"nothing of that name is installed: {module}")
    return Path(found.origin)


def named(path: Path) -> str:
    """Return a module's path below the folder that it is imported from, such as ``foxnas/errors.py``."""
    return path.resolve().relative_to(_OURS if _is_ours(path) else parent_of_package(path)).as_posix()


def _is_ours(path: Path) -> bool:
    return path.resolve().is_relative_to(closures.PACKAGE)


def _imported(path: Path) -> Iterator[Path]:
    home = parent_of_package(path)
    inside = list(path.relative_to(home).parts[:-1])
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            top = name.partition(".")[0]
            if top == closures.PACKAGE.name:
                yield from _files_of(name, _OURS)
            elif inside[:1] == [top]:
                yield from _files_of(name, home)


def _files_of(name: str, home: Path) -> list[Path]:
    return [Path(file).resolve() for file in closures.files_of(name, home)]
