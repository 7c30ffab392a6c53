"""The examples of docs/how-to/ecosystem.md as they stand there, and the smallest whole run to try them on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.configs import written_out
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "ecosystem.md"


class Example(NamedTuple):
    """A fenced block of the page."""

    heading: str
    language: str
    text: str


def examples() -> list[Example]:
    """Every fenced block of the page, with the heading above it."""
    found, heading = [], ""
    for title, language, text in re.findall(
        r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    ):
        heading = title or heading
        if language:
            found.append(Example(heading, language, text))
    return found


def example(heading: str, containing: str) -> str:
    """The one block under a heading that contains a word."""
    (text,) = (one.text for one in examples() if one.heading == heading and containing in one.text)
    return text


def smallest() -> dict[str, Any]:
    """config/tiny.yaml with all that takes time cut down, and a budget that any machine keeps, however busy."""
    config: dict[str, Any] = written_out("tiny")
    config["space"]["image_sizes"] = [16]
    config["data"] |= {"scene": None, "splits": {"train": 1000, "fit": 200, "verify": 200, "test": 200}}
    config["accuracy"]["recalibration_images"] = 32
    config["devices"][0]["protocol"] |= {
        "warm_up_runs": 1, "warm_up_ms": 0, "min_runs": 5, "min_time_ms": 1, "repeats": 1, "max_attempts": 2,
    }  # fmt: skip
    config["predictors"] |= {"accuracy_form": "paper", "rivals": None, "further_targets": []}
    config["budgets"] = [2]
    config["search"] |= {"candidates": 1, "incumbents": 1, "reserves_percent": [3]}
    config["search"]["annealing"] |= {"rounds": 1, "chains": 4}
    config["refinement"]["twists"] = 0
    config["comparison"] = {"seeds": 1, "calls": 300}
    config["baselines"]["random_searches"] = 2
    return config


def write_project(folder: Path, config: dict[str, Any]) -> None:
    """Make a user's folder: a configuration, and our profile as the page says."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    profile = folder / "profiles" / "default" / "config.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_bytes((ROOT / "profiles" / "default" / "config.yaml").read_bytes())


def run(folder: Path, command: str, *, forks: bool = True, **environment: str) -> str:
    """Run shell commands in a folder with this interpreter's tools; return what they said.

    Snakemake and its jobs are forks, if they may (see `forked_jobs`): not of another tree.
    """
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = ["bash", "-euc", command]
    words = ["-c", f"import subprocess, sys; sys.exit(subprocess.run({shell!r}).returncode)"]
    environment = {**os.environ, "PATH": tools, "COLUMNS": "200", **environment}
    if forks:
        done = python(words, folder, environment, jobs=True)
    else:
        done = subprocess.run(shell, cwd=folder, capture_output=True, text=True, env=environment)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-6000:]
    return text


def planned(text: str) -> set[str]:
    """The rules that a dry run said it would run."""
    return set(re.findall(r"^(\w+)\s+\d+\s*$", text, re.MULTILINE)) - {"total"}
