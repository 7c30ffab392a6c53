"""Odd answers to the survey: what cannot be is left out, and nothing of it reaches the terminal as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from foxnas.device.provisioning.survey import survey
from foxnas.device.transport import Finished
from foxnas.errors import FoxnasError

PYTHON: dict[str, Any] = {
    "path": "/usr/bin/python3", "real": "/usr/bin/python3.11", "version": [3, 11, 2], "bits": 64,
    "implementation": "CPython", "libc": ["glibc", "2.36"], "venv": True, "ensurepip": True, "numpy": None,
}  # fmt: skip


@dataclass
class FakeShell:
    """Says what it is told to say, whatever it is asked."""

    lines: list[str]
    host: str = "SSH host fake"

    def run(self, command: object, stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        return Finished(0, "\n".join(f"foxnas-survey {line}" for line in self.lines).encode(), b"")


def asked(*lines: str) -> Any:
    return survey(FakeShell([*lines, "end\tyes"]), ".foxnas")  # type: ignore[arg-type]


def test_an_honest_answer() -> None:
    found = asked("system\tLinux", "machine\taarch64", "memory_kb\t2048000", f"python\t{json.dumps(PYTHON)}")
    assert (found.memory_mb, found.pythons[0].version, found.pythons[0].libc) == (2000, (3, 11, 2), ("glibc", "2.36"))


@pytest.mark.parametrize(
    "change",
    [
        {"version": [3]}, {"version": ["3", "11", "2"]}, {"version": [3, 11, 10**400]}, {"version": "3.11.2"},
        {"bits": 7}, {"libc": ["glibc"]}, {"libc": "glibc 2.36"}, {"libc": [1, 2]}, {"path": None}, 
        {"path": "x" * 6000}, {"numpy": [1]}, {"real": {"a": "b"}}, {"implementation": 3}, {"venv": "perhaps"},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_a_python_that_cannot_be_is_none(change: dict[str, Any]) -> None:
    with_it = asked(f"python\t{json.dumps({**PYTHON, **change})}", f"python\t{json.dumps(PYTHON)}")
    assert [python.path for python in with_it.pythons] == ["/usr/bin/python3"]


def test_broken_and_hostile_lines_are_passed_over() -> None:
    deep = "[" * 4000 + "]" * 4000
    found = asked(
        "memory_kb\t²³", "free_kb\t" + "9" * 5000, "os\tDebian\x1b[2J\x07 12", "machine\t" + "m" * 10**6, "no tab",
        "\t", f"python\t{deep}", "python\t{}", "python\t", "package\tlibedgetpu1-std", "groups\ta\x1b[31m b",
    )  # fmt: skip
    assert (found.memory_mb, found.free_mb, found.pythons, found.packages) == (None, None, (), {})
    assert found.os == "Debian [2J 12"
    assert len(found.machine) < 6000
    assert str(found).isprintable()


def test_a_shell_that_says_something_else_is_repeated_in_a_line() -> None:
    shell = FakeShell([])
    shell.run = lambda *_: Finished(1, b"", b"\x1b]0;title\x07bad\r\n" * 1000)  # type: ignore[method-assign]
    with pytest.raises(FoxnasError, match="cannot be surveyed, its shell ended with status 1") as refusal:
        survey(shell, ".foxnas")  # type: ignore[arg-type]
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 500
