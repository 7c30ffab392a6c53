"""Packages of examples/, brought where Python finds them as if they were installed."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install(example: str, folder: Path) -> Path:
    """Put the package of an example into a folder of the import path, with its entry points; return where it lies."""
    project = tomllib.loads((ROOT / "examples" / example / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    (about := folder / f"{name}-{project['version']}.dist-info").mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
             for group, points in project["entry-points"].items()]  # fmt: skip
    (about / "entry_points.txt").write_text("".join(lines))
    source = ROOT / "examples" / example / name
    return Path(shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__")))


def install_template(folder: Path) -> Path:
    """Install examples/device-template."""
    return install("device-template", folder)
