"""Which interpreter goes onto which device, which combinations are known to crash, and what only its owner can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from foxnas.device.provisioning.survey import Python, Survey
from foxnas.errors import FoxnasError

#: Packages that run models, by the kind of device.
INTERPRETERS = {"tflite": {"ai-edge-litert", "tflite-runtime"}, "torch": {"torch"}}
INTERPRETERS["edgetpu"] = INTERPRETERS["tflite"]
_STICK_GROUP = "plugdev"


@dataclass(frozen=True)
class Combination:
    """What is known of an interpreter with Google's or another Edge TPU library, on some system.

    Parameters
    ----------
    works
        True: reported or tried to work; False: reported to crash; None: nobody is known to have tried.
    source
        Where that is from.
    """

    system: str
    python: str
    interpreter: str
    libedgetpu: str
    works: bool | None
    source: str


#: Nothing of this was tried by us on Edge TPU hardware; the interpreters without a delegate were.
COMBINATIONS = (
    Combination("Debian 12, 64-bit Arm (emulated)", "3.11", "ai-edge-litert 2.3.0", "none", True, "our tests"),
    Combination("Debian 12, x86-64", "3.11", "ai-edge-litert 2.3.0", "none", True, "our tests"),
    Combination(
        "Raspberry Pi OS 11", "3.9", "tflite-runtime 2.5.0.post1", "16.0 (Google, built with TF 2.5)", True,
        "google-coral/edgetpu, thread 660",
    ),
    Combination(
        "any", "3.7 - 3.9", "tflite-runtime up to 2.11", "16.0 (Google, built with TF 2.5)", True,
        "google-coral/edgetpu, thread 812: broken from 2.12 on; thread 821 reports crashes from 2.10 on",
    ),
    Combination(
        "Raspberry Pi OS 11 and 12", "3.9 - 3.11", "tflite-runtime 2.12 and later", "16.0 (Google, built with TF 2.5)",
        False, "google-coral/edgetpu, threads 812 and 821: segmentation fault",
    ),
    Combination(
        "Debian 11 and 12, x86-64 and Arm", "3.9 - 3.11", "tflite-runtime 2.11.1 - 2.17",
        "16.0TF2.17.0-1 (feranick/libedgetpu)", True, "release notes of feranick/libedgetpu",
    ),
    Combination(
        "any", "3.12 and later", "ai-edge-litert", "16.0TF2.17 or later (feranick/libedgetpu)", None, "untried",
    ),
    Combination(
        "any", "any", "ai-edge-litert", "16.0 (Google, built with TF 2.5)", None,
        "untried; every tflite-runtime from 2.12 on crashes with it",
    ),
)  # fmt: skip


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


def pinned(kind: str, python: Python, environments: Path) -> tuple[str, ...]:
    """Return the requirements of a kind of device (or ``installer``) that apply to one of its Pythons.

    `environments` is the folder of the files that pin them.
    """
    name = f"{kind}-device.txt" if kind in INTERPRETERS else f"{kind}.txt"
    lines = (line.split("#")[0].strip() for line in (environments / name).read_text().splitlines())
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
    best = max(choices, key=lambda c: _rank(c.requirements))  # the first of equals: what `python3` means
    if best.system_packages and kind == "tflite" and not best.python.numpy:
        raise FoxnasError(
            "no numpy is published for 32-bit systems; the device's own will do: "
            f"{found.sudo}apt-get install python3-numpy"
        )
    return best


def _choice(found: Survey, kind: str, python: Python, environments: Path) -> Choice | None:
    requirements = pinned(kind, python, environments)
    names = {name_of(r) for r in requirements}
    if not names & INTERPRETERS[kind] or not python.venv or python.libc[0] != "glibc":
        return None
    of_system = "numpy" not in names or (kind == "edgetpu" and "python3-pycoral" in found.packages)
    return Choice(python, requirements, kind == "torch", of_system)


def name_of(requirement: str) -> str:
    """Return the name in ``name==version``."""
    return requirement.partition("==")[0]


def _rank(requirements: Sequence[str]) -> tuple[bool, list[int]]:
    """Order by interpreter: LiteRT before its forerunner, then by version."""
    (interpreter,) = (r for r in requirements if name_of(r) in {n for names in INTERPRETERS.values() for n in names})
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
    return (
        f"no {' or '.join(sorted(INTERPRETERS[kind]))} is published for {newest.machine} with Python {newest.minor}; "
        "set ssh.python to a Python that has one, and provisioning leaves it as it is"
    )


def open_questions(found: Survey, kind: str, requirements: Sequence[str]) -> list[str]:
    """Return what provisioning cannot do itself, one sentence each with the exact commands; empty if nothing."""
    if kind != "edgetpu":
        return []
    said = []
    libraries = {name: version for name, version in found.packages.items() if name.startswith("libedgetpu1")}
    stock = [version for version in libraries.values() if "tf" not in version.lower()]
    google = (
        "set up Coral's package source as https://coral.ai/docs/accelerator/get-started says, then "
        f"{found.sudo}apt-get update && {found.sudo}apt-get install libedgetpu1-std"
    )
    newer = (
        "get libedgetpu1-std for this system from https://github.com/feranick/libedgetpu/releases, then "
        f"{found.sudo}apt-get install ./libedgetpu1-std_*.deb"
    )
    needs_newer = not any(r == "tflite-runtime==2.11.0" for r in requirements)
    if not libraries:
        said.append(f"no libedgetpu is installed as a package: {newer if needs_newer else google}")
    elif stock and needs_newer:
        said.append(
            f"libedgetpu {stock[0]} is known to crash with {requirements[0].replace('==', ' ')} "
            f"(tflite-runtime up to 2.11 works with it): {newer}"
        )
    if not found.corals:
        said.append("no Edge TPU is seen: plug it in; for a PCI card the driver is missing (gasket-dkms)")
    elif any(coral.startswith("usb") for coral in found.corals):
        if not found.udev_rules:
            rules = r"\n".join(
                f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", GROUP="{_STICK_GROUP}"'
                for vendor in ("1a6e", "18d1")
            )
            said.append(
                f"no udev rule lets users reach the stick: printf '{rules}\\n' | {found.sudo}tee "
                f"/etc/udev/rules.d/99-edgetpu.rules && {found.sudo}udevadm control --reload-rules && "
                f"{found.sudo}udevadm trigger, then plug it in anew"
            )
        if not found.root and _STICK_GROUP not in found.groups:
            said.append(
                f"{found.user} is not in the group {_STICK_GROUP}: {found.sudo}usermod -aG {_STICK_GROUP} "
                f"{found.user}, then log in anew"
            )
    return said


def known_combinations(interpreter: str) -> str:
    """Return the rows of `COMBINATIONS` with an Edge TPU library that name an interpreter, as one sentence."""
    rows = [c for c in COMBINATIONS if c.libedgetpu != "none" and c.interpreter.split(" ")[0] == interpreter]
    words = {True: "works", False: "crashes", None: "is unknown"}
    return "known: " + "; ".join(
        f"{c.interpreter} (Python {c.python}) with libedgetpu {c.libedgetpu} {words[c.works]}" for c in rows
    )
