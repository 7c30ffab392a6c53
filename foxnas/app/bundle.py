"""One Python file that needs nothing of this package, from a module and what it uses of others here.

So the program that lies beside a deployed model prepares images and runs the model by the code that measured it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@dataclass
class _Module:
    """A module's top-level statements, by the names that they bind."""

    path: Path
    wanted: set[str] = field(default_factory=set)
    """Names whose statements are in the bundle."""

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    @cached_property
    def body(self) -> list[ast.stmt]:
        return ast.parse("\n".join(self.lines)).body

    @cached_property
    def imports(self) -> dict[str, ast.Import | ast.ImportFrom]:
        """Imports by the name that each binds, of one name each."""
        found: dict[str, ast.Import | ast.ImportFrom] = {}
        for node in self.body:
            if isinstance(node, ast.Import):
                found |= {(a.asname or a.name).partition(".")[0]: ast.Import([a]) for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {a.asname or a.name: ast.ImportFrom(node.module, [a], 0) for a in node.names}
        return found

    @cached_property
    def statements(self) -> list[tuple[ast.stmt, set[str]]]:
        """All others with the names that each binds; one that binds none belongs to every use of the module."""
        rest = [node for node in self.body if not isinstance(node, ast.Import | ast.ImportFrom)]
        rest = [node for node in rest if not _is_text(node) and not _is_main(node)]
        return [(node, set(_bound(node))) for node in rest]

    def taken(self) -> list[ast.stmt]:
        """The statements that are in the bundle."""
        return [node for node, names in self.statements if names & self.wanted or not names]

    def source(self, node: ast.stmt) -> str:
        """Return a statement as written, with its decorators and the comment above it."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        while first > 1 and self.lines[first - 2].startswith("#"):
            first -= 1
        return "\n".join(self.lines[first - 1 : node.end_lineno])


def bundled(module: Path) -> str:
    """Return the source of one file that does what the module does when it is run.

    Of other modules of this package it has what is used, statement by statement. Raises ValueError when two of them
    give one name to different things, or one imports a module of this package as a whole.
    """
    modules: dict[Path, _Module] = {}
    main = _Module(module)
    main.wanted = {name for _, names in main.statements for name in names}
    _collect(main, modules)
    modules[module] = main
    _check_names(modules)
    imports: set[str] = set()
    parts = []
    for one in modules.values():
        used = {name for node in one.taken() for name in _used(node)}
        outside = [node for name, node in one.imports.items() if name in used and _ours(node) is None]
        imports |= {ast.unparse(node) for node in outside}
        parts += [one.source(node) for node in one.taken()]
    text = ast.get_docstring(ast.parse("\n".join(main.lines)), clean=False)
    imports.discard("from __future__ import annotations")
    ends = [node for node in main.body if _is_main(node)]
    return (
        "\n\n\n".join(
            [
                f'#!/usr/bin/env python3\n"""{text}"""\n\nfrom __future__ import annotations\n\n'
                + "\n".join(sorted(imports)),
                *parts,
                *map(main.source, ends),
            ]
        )
        + "\n"
    )


def _collect(module: _Module, modules: dict[Path, _Module]) -> None:
    """Put what a module's wanted statements need into `modules`, what is needed before what needs it."""
    done: set[str] = set()
    while missing := {n for node in module.taken() for n in [*_bound(node), *_used(node)]} - done:
        done |= missing
        module.wanted |= missing
        for name in sorted(missing & module.imports.keys()):
            path = _ours(module.imports[name])
            if path is None:
                continue
            other = modules.pop(path, None) or _Module(path)
            other.wanted.add(name)
            _collect(other, modules)
            modules[path] = other


def _ours(node: ast.Import | ast.ImportFrom) -> Path | None:
    """Return the module of this package that an import takes a name from; None for others."""
    if isinstance(node, ast.Import):
        if node.names[0].name.partition(".")[0] == PACKAGE.name:
            raise ValueError(f"{ast.unparse(node)}: import the names that are used from it")
        return None
    first, *rest = (node.module or "").split(".")
    if first != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest).with_suffix(".py")
    if not path.is_file() or node.names[0].asname:
        raise ValueError(f"{ast.unparse(node)}: import the names that are used, as they are, from a module")
    return path


def _check_names(modules: dict[Path, _Module]) -> None:
    owners: dict[str, Path] = {}
    for path, module in modules.items():
        for name in {name for node in module.taken() for name in _bound(node)}:
            if owners.setdefault(name, path) != path:
                raise ValueError(f"{name} stands in {owners[name]} and in {path}; rename one")


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _used(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
