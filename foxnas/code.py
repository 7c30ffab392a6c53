"""Which of our modules a script imports, found without running it.

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

PACKAGE = Path(__file__).resolve().parent


@cache
def closure(script: Path) -> tuple[Path, ...]:
    """Return the script and every module of this package that it reaches by import, sorted.

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


def listing(script: Path) -> str:
    """Return the closure as `sha256sum` would list it from the checkout: a digest and a path in each line."""
    files = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in closure(script)]
    return "".join(f"{digest}  {os.path.relpath(path, PACKAGE.parent)}\n" for path, digest in files)


@cache
def digest(script: Path) -> str:
    """Return twelve hexadecimal digits that depend on every byte of the closure."""
    return hashlib.sha256(listing(script).encode()).hexdigest()[:12]


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(file for module in modules for file in _files_of(module))


def _files_of(module: str) -> list[Path]:
    top, *rest = module.split(".")
    if top != PACKAGE.name:
        return []
    files = []
    folder = PACKAGE
    for name in rest:
        if (folder / "__init__.py").is_file():
            files.append(folder / "__init__.py")
        if (folder / f"{name}.py").is_file():
            return [*files, folder / f"{name}.py"]
        folder = folder / name
    return [*files, folder / "__init__.py"] if (folder / "__init__.py").is_file() else files
