"""Makes a private environment on the machine it runs on. Sent there as one file, like the runner.

Needs Python 3.7 and its `venv`; asked on stdin, it answers on the last line of stdout, each one JSON object:

    {"folder", "environment", "link", "requirements", "dependencies", "system_packages", "lock", "holder", "anew",
     "wheels", "from_index"}
    {"python", "made"} or {"missing": "wheels"} or {"busy": who measures} or {"error"}

`environment` names the folder of this very set of requirements, `link` what points to it when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from foxnas.runner.lock import acquire_lock

#: Written into an environment when all is installed; without it the environment is a ruin and made anew.
WHOLE = "foxnas-environment.json"


class _Busy(Exception):
    pass


def _refuse(holder: str) -> None:
    raise _Busy(holder)


def install(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the environment, unless it is there, and let the link point to it. Returns the answer."""
    folder = Path(asked["folder"])
    environment, link = folder / asked["environment"], folder / asked["link"]
    if not asked["anew"] and _is_whole(environment):
        _point(link, environment)
        return {"python": str(link / "bin" / "python"), "made": False}
    if asked["wheels"] is None and not asked["from_index"]:
        return {"missing": "wheels"}
    try:
        holding = acquire_lock(asked["lock"], asked["holder"], _refuse)  # an installation would disturb who measures
    except _Busy as busy:
        return {"busy": str(busy)}
    with holding:
        shutil.rmtree(str(environment), ignore_errors=True)
        _make(environment, asked, [str(folder / wheel) for wheel in asked["wheels"] or []])
        record = {"requirements": asked["requirements"], "python": sys.version, "base": sys.executable}
        (environment / WHOLE).write_text(json.dumps(record) + "\n")
        _point(link, environment)
        for wheel in asked["wheels"] or []:
            (folder / wheel).unlink()
    return {"python": str(link / "bin" / "python"), "made": True}


def _is_whole(environment: Path) -> bool:
    return (environment / WHOLE).is_file() and (environment / "bin" / "python").exists()


def _point(link: Path, environment: Path) -> None:
    """Let `link` point to the environment beside it, in one step."""
    if link.is_symlink() and os.readlink(str(link)) == environment.name:  # noqa: PTH115 - Python 3.7
        return
    temporary = Path(tempfile.mkdtemp(dir=str(link.parent))) / link.name
    try:
        temporary.symlink_to(environment.name, target_is_directory=True)
        temporary.replace(link)
    finally:
        temporary.parent.rmdir()


def _make(environment: Path, asked: dict[str, Any], wheels: list[str]) -> None:
    import venv

    pip = [wheel for wheel in wheels if Path(wheel).name.startswith("pip-")]
    venv.EnvBuilder(system_site_packages=asked["system_packages"], symlinks=True, with_pip=not pip).create(
        str(environment)
    )
    python = str(environment / "bin" / "python")
    # A wheel of pip runs without being installed, so that Debian's missing ensurepip does not matter.
    command = [python, *([pip[0] + "/pip"] if pip else ["-m", "pip"]), "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--only-binary=:all:", "--no-compile"]
    if not asked["dependencies"]:
        command.append("--no-deps")
    if not asked["from_index"]:
        command += ["--isolated", "--no-index"]
        for folder in sorted({str(Path(wheel).parent) for wheel in wheels}):
            command += ["--find-links", folder]
    done = subprocess.run(
        [*command, *asked["requirements"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise RuntimeError(f"pip ended with status {done.returncode}: {said[-800:]}")


def main() -> int:
    try:
        answer = install(json.loads(sys.stdin.read()))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0
