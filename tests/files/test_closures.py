"""The import closure: exactly what a script reaches, whatever the way of importing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from foxnas.files import closures, syntax

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(ROOT.glob("*/scripts/*.py"))


#: Imports each script after forgetting all of our modules, and says which of them Python has loaded.
LOADED = """
import gc, json, runpy, sys
gc.disable()
def ours():
    return [name for name in sys.modules if name.split(".")[0] in ("foxnas", "comparisons")]
for script in sys.argv[1:]:
    assert not ours()
    runpy.run_path(script, run_name="probe")
    print(json.dumps([script, [file for name in ours() if (file := sys.modules[name].__file__)]]))
    for name in ours():
        del sys.modules[name]
"""


def test_the_closure_holds_all_that_importing_loads() -> None:
    """Second implementation: import the scripts for real."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, SCRIPTS)], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    found = dict(map(json.loads, loaded.stdout.splitlines()))
    assert found.keys() == set(map(str, SCRIPTS))
    for script, files in found.items():
        assert len(files) > 3
        assert set(map(Path, files)) <= set(closures.closure(Path(script))), script


def test_an_unrelated_module_is_not_in_the_closure() -> None:
    reached = {path.name for path in closures.closure(ROOT / "workflow" / "scripts" / "sample_subnets.py")}
    assert "space.py" in reached
    assert not reached & {"training.py", "annealing.py", "export.py", "server.py", "page.py"}


def test_the_measurement_reaches_the_runner_that_is_started_as_a_process() -> None:
    assert closures.PACKAGE / "runner" / "server.py" in closures.closure(
        ROOT / "workflow" / "scripts" / "time_subnets.py"
    )


def test_a_script_reaches_its_own_package_too() -> None:
    reached = closures.closure(ROOT / "comparisons" / "scripts" / "compare_strategies.py")
    ours = {path.relative_to(ROOT).as_posix() for path in reached}
    own = {"report/pages.py", "report/templates/comparisons.css", "strategies/against_random.py"}
    assert {f"comparisons/{name}" for name in own} <= ours
    assert {"foxnas/report/rendering.py", "foxnas/report/templates/page.css"} <= ours
    assert "comparisons/predictors/regressors.py" not in ours


def test_another_package_beside_is_nobodys_but_its_own(tmp_path: Path) -> None:
    """A script elsewhere may import a module that has the name of a folder here: it is not that folder's."""
    script = tmp_path / "script.py"
    script.write_text("import benchmarks.caps\nimport foxnas.errors\n")
    assert closures.closure(script) == tuple(
        sorted([script, closures.PACKAGE / "__init__.py", closures.PACKAGE / "errors.py"])
    )


def test_every_script_has_a_name_of_its_own() -> None:
    """The list of a script's modules goes by it."""
    assert len({path.stem for path in SCRIPTS}) == len(SCRIPTS) > 30


#: A module, and what may be edited in it.
MODULE = '''"""Says what it is."""

import re

LIMIT = 300  # enough
WORD = re.compile(r"\\d+")


@staticmethod
def clip(values, most=LIMIT):
    """Clip them."""
    return [min(value, most) for value in values]  # each


class Kept:
    """Nothing."""

    size: int = 3
    """How many."""
'''


def digest_of(folder: Path, text: str) -> str:
    script = folder / "script.py"
    script.write_text(text)
    for function in (closures.listing, closures.digest, closures._line):
        function.cache_clear()
    return closures.digest(script)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Says what it is.", "Says it better.\n\nAt length."),
        ('"""Says what it is."""', ""),
        ("# enough", "# as many as a page holds"),
        ("  # each", ""),
        ('    """Clip them."""\n', ""),
        ('"""Nothing."""', '"""Something."""'),
        ('    """How many."""\n', ""),
        ("[min(value, most) for value in values]", "[\n        min(value, most) for value in values\n    ]"),
        ('r"\\d+"', "r'\\d+'"),
    ],
)
def test_prose_and_layout_are_free(tmp_path: Path, before: str, after: str) -> None:
    assert before in MODULE
    assert digest_of(tmp_path, MODULE.replace(before, after)) == digest_of(tmp_path, MODULE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 300", "LIMIT = 301"),
        ("LIMIT = 300", "LIMIT = 300.0"),
        ("LIMIT = 300", "LIMIT: int = 300"),
        ("most=LIMIT", "most=300"),
        ("most=LIMIT", "*, most=LIMIT"),
        ("@staticmethod", "@classmethod"),
        ("@staticmethod\n", ""),
        ("d+", "d*"),
        ("min(value, most)", "min(most, value)"),
        ("size: int = 3", "size: int = 4"),
        ("size: int = 3", "size: int"),
        ("    return [", '    "before" + ""\n    return ['),
        ("def clip", "async def clip"),
    ],
)
def test_whatever_python_would_do_otherwise_changes_the_digest(tmp_path: Path, before: str, after: str) -> None:
    assert before in MODULE
    assert digest_of(tmp_path, MODULE.replace(before, after)) != digest_of(tmp_path, MODULE)


def test_equal_digests_are_equal_trees(tmp_path: Path) -> None:
    """Second implementation: the standard library's dump of the tree, for each module as printed anew from its tree."""
    paths = [p for folder in ("foxnas", "comparisons", "workflow/scripts") for p in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 400
    anew = tmp_path / "anew.py"
    for path in paths:
        tree = ast.parse(path.read_text())
        anew.write_text(ast.unparse(tree))
        assert ast.dump(ast.parse(anew.read_text())) == ast.dump(tree), path
        assert closures.meaning(anew) == closures.meaning(path), path


def test_the_digest_follows_content_not_time(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    before = digest_of(tmp_path, "import foxnas.space.space\n")
    script.touch()
    assert digest_of(tmp_path, script.read_text()) == before
    assert digest_of(tmp_path, "import foxnas.space.terms\n") != before


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_scripts_are_thin(script: Path) -> None:
    """A script parses, calls the library and writes: one function, no class, no global state."""
    body = ast.parse(script.read_text()).body
    assert [n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)] == ["main"]
    assert not [n for n in body if isinstance(n, ast.Assign)]


#: Reads a module's syntax in a process of its own, and counts how often a tree was made for it.
READ = """
import ast, sys
from pathlib import Path
from foxnas.files import syntax
syntax.KEPT = Path(sys.argv[1])
made, parse = [], ast.parse
ast.parse = lambda content: made.append(content) or parse(content)
print(tuple(syntax.read(Path(sys.argv[2]).read_bytes())), len(made))
"""


@pytest.mark.parametrize("kept", ["", "[1, 2]", '{"cut', None], ids=["empty", "a list", "cut", "a folder"])
def test_what_was_read_is_kept_by_content_and_doubted(tmp_path: Path, kept: str | None) -> None:
    """Another process makes no tree for what is known, one for an edit, and again where the file is damaged."""
    store, module = tmp_path / "cache" / "kept.json", tmp_path / "module.py"

    def read() -> tuple[str, int]:
        command = [sys.executable, "-c", READ, str(store), str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        assert not done.stderr
        said, _, made = done.stdout.strip().rpartition(" ")
        assert said == str(tuple(syntax.parse(module.read_bytes())))
        return said, int(made)

    module.write_text("from foxnas import errors\nLIMIT = 300\n")
    first, made = read()
    assert made == 1
    assert read() == (first, 0)
    module.write_text("from foxnas import errors\nLIMIT = 400\n")
    assert read()[0] != first
    store.unlink()
    if kept is None:
        store.mkdir()
    else:
        store.write_text(kept)
    assert read()[1] == 1
    assert read()[1] == (kept is None)
