"""The smallest whole run, as a user starts it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "config" / "tiny.yaml"

#: Measurements of next to nothing, that are all believed.
QUICK = {
    "warm_up_runs": 1, "warm_up_ms": 0, "min_runs": 2, "min_time_ms": 0, "max_time_ms": 1000, "repeats": 1,
    "max_relative_mad": 50, "max_preempted": 1, "max_drift": 50, "max_disagreement": 50,
}  # fmt: skip


def snakemake(folder: Path, *words: str, config: Path = TINY, check: bool = True) -> str:
    """Run the workflow in a folder and return what it printed; its jobs are forks (see `forked_jobs`)."""
    command = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
    environment = {**os.environ, "COLUMNS": "200"}
    done = python([*command, "--directory", str(folder), "--cores", "2", *words], ROOT, environment, jobs=True)
    text = done.stdout + done.stderr
    assert not check or done.returncode == 0, text[-6000:]
    return text
