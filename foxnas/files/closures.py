"""Which of our modules a script imports, and a digest of what they do, found without running them.

Snakemake does not see the modules that a script imports, so every rule takes the list of its script's
closure as an input and carries its digest in a param: an edited library module then reruns exactly the
rules that reach it, also when its time stamp is old.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from foxnas.files import syntax

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def closure(script: Path) -> tuple[Path, ...]:
    """Return the script and every module of this package, and of the one it lies in, that it reaches by import, sorted.

    Imports inside functions count too, and so do the templates beside a module.
    """
    # Text, since this is asked thousands of times before a run starts: paths took several times as long.
    found: set[str] = set()
    waiting = [str(script.resolve())]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.endswith(".py"):
            waiting += [*_imported(path), *_templates(path.rpartition(os.sep)[0])]
    return tuple(sorted(map(_path, found), key=lambda path: path.parts))


@cache
def _path(text: str) -> Path:
    """Keep paths, since to make one takes as long as to read what it leads to."""
    return Path(text)


@cache
def listing(script: Path) -> str:
    """Return the closure with what decides about results: a digest of its meaning and a path in each line."""
    return "".join(map(_line, closure(script)))


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
    return syntax.read(content).digest if path.suffix == ".py" else hashlib.sha256(content).hexdigest()


@cache
def _line(path: Path) -> str:
    return f"{meaning(path)}  {os.path.relpath(path, PACKAGE.parent)}\n"


@cache
def _templates(folder: str) -> list[str]:
    return [str(path) for path in Path(folder, "templates").glob("*.*")]


@cache
def _imported(path: str) -> tuple[str, ...]:
    ours = {PACKAGE.name}
    if path.startswith(root := f"{PACKAGE.parent}{os.sep}"):
        ours.add(path.removeprefix(root).partition(os.sep)[0])
    names = syntax.read(Path(path).read_bytes()).imported
    return tuple(file for name in names if name.partition(".")[0] in ours for file in files_of(name))


def files_of(module: str, root: Path = PACKAGE.parent) -> list[str]:
    """Return the files that importing a dotted name below `root` runs: every package on the way, and the module."""
    files: list[str] = []
    folder = str(root)
    for name in module.split("."):
        if _is_file(package := f"{folder}/__init__.py"):
            files.append(package)
        folder = f"{folder}/{name}"
        if _is_file(f"{folder}.py"):
            return [*files, f"{folder}.py"]
    return [*files, package] if _is_file(package := f"{folder}/__init__.py") else files


@cache
def _is_file(path: str) -> bool:
    return Path(path).is_file()
