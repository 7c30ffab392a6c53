"""Inputs of a user that no run can use, one at a time, and the sentence that each gets.

`python -m tests.support.bad_inputs` writes docs/evidence/bad-inputs.md anew.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from foxnas.errors import FoxnasError
from tests.support.bad_configs import BadInput, bad_configs
from tests.support.bad_files import bad_files

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "bad-inputs.md"

_INTRODUCTION = """# Inputs that no run can use

Each of these %d inputs of a user is read as the workflow reads it, and ends there with the words on the right: never
with a traceback, a hang, or a result that means something else (`tests/test_bad_inputs.py`). Of a config, the line that
names the file is left out. `python -m tests.support.bad_inputs` writes this page.

| what | given | said |
|---|---|---|
"""


def refusals() -> Iterator[tuple[str, str, str]]:
    """Yield the kind of an input, the input, and what is said of it."""
    for bad in (*bad_configs(), *bad_files()):
        yield bad.kind, bad.given, _said(bad)


def page(found: Iterable[tuple[str, str, str]]) -> str:
    """Return the text of docs/evidence/bad-inputs.md."""
    rows = [f"| {kind} | `{_short(given, 60)}` | {_short(said, 600)} |" for kind, given, said in found]
    return _INTRODUCTION % len(rows) + "\n".join(rows) + "\n"


def _said(bad: BadInput) -> str:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            bad.use()
        except FoxnasError as refusal:
            text = str(refusal).replace(f"{Path(folder).resolve()}/", "")
            return " ".join(text.removeprefix("mine.yaml is not valid:\n").split())
    raise AssertionError(f"taken: {bad.kind}, {bad.given}")


def _short(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else f"{text[: longest // 2]}... ({len(text):,} characters)"
    return shown.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(refusals()))
