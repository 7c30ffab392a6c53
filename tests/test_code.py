"""The import closure: exactly what a script reaches, whatever the way of importing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from foxnas import code

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_closure_holds_all_that_importing_loads(script: Path) -> None:
    """Second implementation: import the script for real, and see which of our modules Python has loaded."""
    probe = (
        "import runpy, sys\n"
        f"runpy.run_path({str(script)!r}, run_name='probe')\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'foxnas' and m.__file__))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    missing = {Path(line) for line in loaded.stdout.split()} - set(code.closure(script))
    assert missing == set()


def test_an_unrelated_module_is_not_in_the_closure() -> None:
    reached = {path.name for path in code.closure(ROOT / "workflow" / "scripts" / "sample_subnets.py")}
    assert "space.py" in reached
    assert not reached & {"training.py", "annealing.py", "export.py", "server.py", "page.py"}


def test_the_measurement_reaches_the_runner_that_is_started_as_a_process() -> None:
    assert code.PACKAGE / "devices" / "runner" / "server.py" in code.closure(
        ROOT / "workflow" / "scripts" / "time_subnets.py"
    )


def test_the_digest_follows_content_not_time(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import foxnas.space\n")
    before = code.digest(script)
    code.digest.cache_clear()
    script.touch()
    assert code.digest(script) == before
    script.write_text("import foxnas.space  # changed\n")
    code.digest.cache_clear()
    assert code.digest(script) != before


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_scripts_are_thin(script: Path) -> None:
    """A script parses, calls the library and writes: one function, no class, no global state."""
    body = ast.parse(script.read_text()).body
    assert [n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)] == ["main"]
    assert not [n for n in body if isinstance(n, ast.Assign)]
