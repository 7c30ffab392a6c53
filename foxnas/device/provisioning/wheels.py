"""Wheels for another machine's Python, found in a folder or fetched by this one, so that a device needs no network."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from foxnas.device.provisioning.survey import Python
from foxnas.errors import FoxnasError
from foxnas.files.progress import waiting

_OLDEST_GLIBC = 5


def cache_folder() -> Path:
    """Return where fetched wheels are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foxnas" / "wheels"


def platforms(python: Python) -> list[str]:
    """Return the wheel platforms that a device's Python accepts, the newest C library first (PEP 600)."""
    major, minor = (int(number) for number in python.libc[1].split(".")[:2])
    names = [f"manylinux_{major}_{n}_{python.machine}" for n in range(minor, _OLDEST_GLIBC - 1, -1)]
    old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # what PEP 600 calls them now
    names += [f"{alias}_{python.machine}" for n, alias in old.items() if n <= minor]
    return [*names, f"linux_{python.machine}"]


def wheels_in(folder: Path, requirements: Sequence[str], python: Python) -> list[Path]:
    """Return the wheel of every requirement, from a folder that the user filled.

    Raises FoxnasError naming the first that is missing, with the command that fetches it elsewhere.
    """
    found = _match(folder, requirements, python)
    if missing := [r for r in requirements if r not in found]:
        command = shlex.join(["pip", *_download(requirements, python, folder)])
        raise FoxnasError(
            f"{folder}: holds no wheel of {missing[0]} for Python {python.minor} on {python.machine} with glibc "
            f"{python.libc[1]}; where there is a network: {command}"
        )
    return [found[r] for r in requirements]


def fetch_wheels(requirements: Sequence[str], python: Python, cache: Path) -> list[Path]:
    """Return the wheel of every requirement, fetched by this host's pip unless it was before.

    Raises FoxnasError with pip's words when one cannot be had.
    """
    wanted = json.dumps([requirements, python.minor, platforms(python)])
    folder = cache / f"{python.machine}-{python.minor}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    found = _match(folder, requirements, python)
    if len(found) < len(requirements):
        what = f"fetching {', '.join(requirements)} for Python {python.minor} on {python.machine}"
        cache.mkdir(parents=True, exist_ok=True)
        with waiting(what), tempfile.TemporaryDirectory(dir=cache) as temporary:
            command = [sys.executable, "-m", "pip", *_download(requirements, python, Path(temporary)), "--quiet"]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-300:]]
                raise FoxnasError(f"pip cannot fetch the device's wheels: {' '.join(said)}")
            for wheel in Path(temporary).glob("*.whl"):
                folder.mkdir(exist_ok=True)
                wheel.replace(folder / wheel.name)
        found = _match(folder, requirements, python)
    if missing := [r for r in requirements if r not in found]:
        raise FoxnasError(f"{folder}: pip fetched no wheel of {missing[0]}; delete the folder and run again")
    return [found[r] for r in requirements]


def _download(requirements: Sequence[str], python: Python, folder: Path) -> list[str]:
    target = [word for platform in platforms(python) for word in ("--platform", platform)]
    how = ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", str(folder)]
    return [*how, "--implementation", "cp", "--python-version", python.minor, *target, *requirements]


def _match(folder: Path, requirements: Sequence[str], python: Python) -> dict[str, Path]:
    """Return, by requirement, the best wheel in a folder that this Python takes."""
    rank = {tag: position for position, tag in reversed(list(enumerate(_tags(python))))}
    best: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        ranks = [rank[tag] for tag in tags if tag in rank]
        for text in requirements:
            wanted = Requirement(text)
            fits = canonicalize_name(wanted.name) == name and wanted.specifier.contains(version, prereleases=True)
            if ranks and fits and (text not in best or min(ranks) < best[text][0]):
                best[text] = (min(ranks), path)
    return {text: path for text, (_, path) in best.items()}


def _tags(python: Python) -> Iterator[Tag]:
    version, interpreter = python.version[:2], f"cp{python.version[0]}{python.version[1]}"
    abi = interpreter + ("m" if python.version < (3, 8) else "")
    yield from cpython_tags(version, [abi], platforms(python))
    yield from compatible_tags(version, interpreter, platforms(python))
