"""Files of a finished run that are gone, deleted or lost by a job that was to make them anew: they are made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dag import DryRuns, Job
from tests.support.invalidation import BASES
from tests.support.stages import CONFIRMATION, LATENCY

CONFIG = BASES["rounds"].config()


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


@pytest.fixture(scope="module")
def finished(dry_runs: DryRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two kinds of device, finished as far as Snakemake can tell."""
    folder = tmp_path_factory.mktemp("rounds")
    dry_runs.pretend(folder, CONFIG)
    return folder


def running_without(file: str, finished: Path, dry_runs: DryRuns) -> set[Job]:
    """What runs as long as the file is not there."""
    aside = finished / "aside"
    (finished / file).rename(aside)
    try:
        return set(dry_runs.plan(finished, CONFIG).runs)
    finally:
        aside.rename(finished / file)


def test_a_job_of_every_rule_runs_whose_file_is_gone(finished: Path, dry_runs: DryRuns) -> None:
    plan = dry_runs.plan(finished, CONFIG)
    assert not plan.runs
    # What is temporary is gone from every finished run.
    one_of_each = {job.rule: job for job in sorted(plan.jobs) if (finished / plan.jobs[job][-1]).exists()}
    assert {job.rule for job in plan.jobs} - set(one_of_each) == {"confirm_together", "confirm_compiled_together"}
    assert len(one_of_each) > 25
    missed = [job for job in one_of_each.values() if job not in running_without(plan.jobs[job][-1], finished, dry_runs)]
    assert not missed


def test_no_more_runs_than_follows_from_the_file(finished: Path, dry_runs: DryRuns) -> None:
    """A sample drawn again, and a device made ready again, measure nothing: those who measure take them as ancient."""
    jobs = dry_runs.plan(finished, CONFIG).jobs
    for file, expected in {
        "results/mini/deploy/pi/p90/latency.json": CONFIRMATION.among(jobs, {"device": "pi", "budget": "p90"}),
        "results/mini/16/shards/latency-pi/0.csv": LATENCY.among(jobs, {"device": "pi", "size": "16"}),
        "results/devices/pi/ready.json": {Job.parse("provision_device device=pi")},
        "results/mini/16/shards/subnets/0.csv": {Job.parse("sample_subnets shard=0 size=16 space=mini")},
    }.items():
        running = running_without(file, finished, dry_runs)
        assert running == expected, (file, sorted(map(str, running ^ expected)))
