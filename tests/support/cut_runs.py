"""The shortest real run with training in it, watched job by job, so that tests may cut it where they please."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from tests.support import forked_python
from tests.support.configs import written_out

ROOT = Path(__file__).resolve().parents[2]

_STARTED = re.compile(r"^(?:Job (\d+): (.+)|localrule (\w+):)$")
_FINISHED = re.compile(r"^Finished jobid: (\d+) ")


def write_config(folder: Path) -> Path:
    """Write images (a pattern for each of ten classes, and noise) and a config that uses them."""
    images = folder / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 200, (10, 28, 28))
    for part, count in (("train", 700), ("test", 100)):
        labels = rng.integers(0, 10, count)
        noise = rng.integers(0, 56, (count, 28, 28))
        np.save(images / f"{part}-images.npy", (patterns[labels] + noise).astype(np.uint8))
        np.save(images / f"{part}-labels.npy", labels)
    raw = written_out("tiny")
    raw["space"]["image_sizes"] = [16]
    raw["data"] |= {"dataset": "arrays", "folder": str(images), "scene": None}
    raw["data"]["splits"] = {"train": 500, "fit": 100, "verify": 100, "test": 100}
    raw["supernet"]["source"] = "train"
    phase = raw["supernet"]["training"]["phases"][0]
    raw["supernet"]["training"] |= {"batch_size": 50, "phases": [phase | {"epochs": 6}]}
    raw["accuracy"]["recalibration_images"] = 64
    raw["devices"][0]["protocol"] |= {
        "warm_up_runs": 1, "warm_up_ms": 0, "min_runs": 5, "min_time_ms": 1, "repeats": 1, "reference_every": 50,
        # Timed beside whatever else the machine does, and nothing is made of the figures: all of them will do.
        "max_attempts": 1, "max_relative_mad": 10, "max_drift": 10, "max_disagreement": 10, "max_preempted": 1,
    }  # fmt: skip
    raw["budgets"] = [1000]
    raw["predictors"] |= {"rivals": None, "further_targets": [], "folds": 2}
    raw["comparison"] = {"seeds": 1, "calls": 100}
    raw["search"] |= {"candidates": 1, "incumbents": 1, "reserves_percent": [20]}
    raw["search"]["annealing"] |= {"chains": 4, "rounds": 1}
    raw["refinement"]["twists"] = 0
    raw["baselines"]["random_searches"] = 2
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(raw))
    return config


def command(config: Path, folder: Path, *words: str, cores: int = 2) -> list[str]:
    """Return the same command as ever."""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
    return [*snakemake, "--directory", str(folder), "--cores", str(cores), *words]


@dataclass
class Run:
    """What a run has said so far: when each job started, by its message, and which ones finished."""

    process: subprocess.Popen[bytes] | forked_python.Started
    text: str = ""
    started: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    _labels: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """How it ended; negative: by that signal."""
        return self.process.wait()

    def follow(self, cut: Callable[[Run], float | None]) -> bool:
        """Read until the end, or the moment that `cut` names; return if cut.

        It is asked whenever something was said, and once more when the moment has come, which it may then put off.
        """
        assert self.process.stdout
        rest = b""
        while True:
            deadline = cut(self)
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self.process.stdout], [], [], left)[0]:
                if (put_off := cut(self)) is None or put_off <= time.monotonic():
                    return True
                continue
            if not (block := os.read(self.process.stdout.fileno(), 1 << 16)):
                return False
            self.text += block.decode(errors="replace")
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if (found := _STARTED.match(line)) and found[1]:
            self._labels[found[1]] = found[2]
            self.started[found[2]] = time.monotonic()
        elif (found := _FINISHED.match(line)) and (label := self._labels.get(found[1])):
            self.finished[label] = time.monotonic()


def start(words: Sequence[str], *, jobs: bool = False) -> Run:
    """Start a command as the first of a process group of its own; a fork where it is this interpreter's.

    Its jobs can be forks, too, where the whole group is killed, if anything.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    if words[0] == sys.executable:
        return Run(forked_python.start(words[1:], ROOT, environment, jobs=jobs))
    return Run(
        subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            # A shell's background job ignores Ctrl-C and hands that on; what is started here must not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    )


def whole(words: Sequence[str], *, jobs: bool = False) -> Run:
    """Run a command to its end."""
    run = start(words, jobs=jobs)
    run.follow(lambda _: None)
    return run


def kill(run: Run) -> None:
    """Kill a run with all its jobs, without a warning, and hear what it had said."""
    os.killpg(run.process.pid, signal.SIGKILL)
    run.follow(lambda _: None)
    run.process.wait()
