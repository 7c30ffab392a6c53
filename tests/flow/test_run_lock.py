"""A run takes a folder only when nobody is at work in it, also no job that a killed run left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foxnas.errors import FoxnasError
from foxnas.flow import run_lock
from foxnas.flow.snakemake_private import LOCKS

ROOT = Path(__file__).resolve().parents[2]

#: A job of another machine, which does not end with its run.
JOB = "from foxnas.files import orphans; import time; orphans.end_with_the_run(); print(flush=True); time.sleep(60)"


def test_jobs_that_are_still_at_work_keep_the_next_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_lock, "JOBS_END_S", 0.2)
    (tmp_path / LOCKS).mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FOXNAS_RUN": "1 another-boot pid:[1]"}
    with subprocess.Popen([sys.executable, "-c", JOB], env=environment, stdout=subprocess.PIPE) as job:
        assert job.stdout
        job.stdout.readline()
        (tmp_path / LOCKS / "0.output.lock").touch()  # as a Snakemake that was killed leaves it
        with pytest.raises(
            FoxnasError, match=rf"{tmp_path}: the last run .* still at work.* end them, then run the same"
        ):
            run_lock.take_folder()
        assert list((tmp_path / LOCKS).iterdir()), "released beside a living job"
        job.kill()
    held = run_lock.take_folder()
    assert held
    with held:
        again = run_lock.take_folder()  # another run is alive: its jobs are its own business
        assert again
        again.close()
