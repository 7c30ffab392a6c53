"""Which interpreter goes onto which device."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from foxnas.device.kinds import kind_of
from foxnas.device.provisioning.survey import Python, Survey
from foxnas.errors import FoxnasError


@dataclass(frozen=True)
class Choice:
    """What will be installed, and where.

    Parameters
    ----------
    requirements
        Pinned, ``name==version``, without markers.
    dependencies
        Whether what they depend on is installed too.
    system_packages
        Whether the environment sees the packages of the system's Python.
    """

    python: Python
    requirements: tuple[str, ...]
    dependencies: bool
    system_packages: bool


def pins_of(kind: str, environments: Path) -> Path:
    """Return the file that pins what a kind of device gets: its own, or one of the folder `environments`."""
    return kind_of(kind).pins or environments / f"{kind}-device.txt"


def pinned(pins: Path, python: Python) -> tuple[str, ...]:
    """Return the requirements of a file that apply to one of a device's Pythons."""
    lines = (line.split("#")[0].strip() for line in pins.read_text().splitlines())
    target = {
        "python_version": python.minor,
        "python_full_version": ".".join(map(str, python.version)),
        "platform_machine": python.machine,
        "sys_platform": "linux",
    }
    parsed = [Requirement(line) for line in lines if line]
    return tuple(f"{r.name}{r.specifier}" for r in parsed if r.marker is None or r.marker.evaluate(target))


def choose(found: Survey, kind: str, environments: Path) -> Choice:
    """Return the newest interpreter that one of a device's Pythons can have.

    Raises FoxnasError that says what is in the way, with the commands that remove it.
    """
    choices = [c for python in found.pythons if (c := _choice(found, kind, python, environments))]
    if not choices:
        raise FoxnasError(_refusal(found, kind))
    # The first of equals: what `python3` means.
    best = max(choices, key=lambda c: _rank(c.requirements, kind_of(kind).packages))
    if best.system_packages and not kind_of(kind).system_packages and not best.python.numpy:
        raise FoxnasError(
            "no numpy is published for 32-bit systems; the device's own will do: "
            f"{found.sudo}apt-get install python3-numpy"
        )
    return best


def _choice(found: Survey, kind: str, python: Python, environments: Path) -> Choice | None:
    requirements, asked = pinned(pins_of(kind, environments), python), kind_of(kind)
    names = {name_of(r) for r in requirements}
    if not names & asked.packages or not python.venv or python.libc[0] != "glibc":
        return None
    of_system = "numpy" not in names or bool(asked.system_packages & found.packages.keys())
    return Choice(python, requirements, asked.with_dependencies, of_system)


def name_of(requirement: str) -> str:
    """Return the name in ``name==version``."""
    return requirement.partition("==")[0]


def _rank(requirements: Sequence[str], packages: Set[str]) -> tuple[bool, list[int]]:
    """Order by interpreter: LiteRT before its forerunner, then by version."""
    interpreter = next(r for r in requirements if name_of(r) in packages)
    return not interpreter.startswith("tflite-runtime"), [int(n) for n in re.findall(r"\d+", interpreter)]


def _refusal(found: Survey, kind: str) -> str:
    install = f"{found.sudo}apt-get install" if found.apt else "install with its package manager:"
    usable = [p for p in found.pythons if p.version >= (3, 7)]
    if not usable:
        have = ", ".join(".".join(map(str, p.version)) for p in found.pythons)
        return (
            f"its Python ({have}) is older than 3.7" if have else "it has no Python"
        ) + f"; {install} python3 python3-venv, or a newer system where that brings nothing newer"
    if not any(p.libc[0] == "glibc" for p in usable):
        return "its C library is not glibc, for which alone interpreters are published: use a Debian, Ubuntu or like it"
    newest = max(usable, key=lambda p: p.version)
    if not any(p.venv for p in usable):
        return f"its Python {newest.minor} lacks the module venv: {install} python{newest.minor}-venv"
    if newest.machine == "armv7l":
        return (
            f"it runs a 32-bit system with Python {newest.minor}, for which no interpreter is published (there is one "
            "up to Python 3.11): put a 64-bit system on it (Raspberry Pi 3 and later), or Debian 12 with Python 3.11"
        )
    wanted = " or ".join(sorted(kind_of(kind).packages))
    return (
        f"no {wanted} is published for {newest.machine} with Python {newest.minor}; "
        "set ssh.python to a Python that has one, and provisioning leaves it as it is"
    )
