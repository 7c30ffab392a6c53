"""Without Snakemake's records, after `rm -rf .snakemake`, a changed line still reruns what it decides about.

Every artefact says what it was made with; what Snakemake does without that is held in test_snakemake_private.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from foxnas.files.provenance import recorded_settings
from tests.support.dag import DryRuns
from tests.support.invalidation import BASES, NOTHING, ROWS, Row, all_changed, deciding_nothing
from tests.support.stages import LATENCY

#: What has no place for settings: the published archives, which are what they are, whatever they came from; and what is
#: temporary, and gone.
SILENT = {"fetch_images", "confirm_together"}

#: Lines that change where the images come from, whose archives say nothing of it.
OF_ARCHIVES = ("data.dataset", "data.folder")

#: Of this machine, which the finished run measured; the other rows of devices are of a run of placeholders.
MEASURED = [
    Row(f"devices.0.protocol.{name}", value, LATENCY, {"device": "local"})
    for name, value in (("xnnpack", True), ("threads", 2), ("min_runs", 31), ("seed", 1))
]


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


@pytest.fixture(scope="module")
def lost(run: Path) -> Path:
    """A finished run of which Snakemake remembers nothing."""
    BASES["tiny"].bring(run)
    shutil.rmtree(run / ".snakemake")
    return run


def test_lost_records_alone_rerun_nothing(dry_runs: DryRuns, lost: Path) -> None:
    plan = dry_runs.plan(lost, BASES["tiny"].config())
    assert not plan.runs
    read = {job.rule: [recorded_settings(lost / file) for file in files] for job, files in plan.jobs.items()}
    said = {rule for rule, found in read.items() if any(settings is not None for settings in found)}
    assert {job.rule for job in plan.jobs} - said == SILENT


@pytest.mark.parametrize(
    "row",
    [*MEASURED, *(row for row in ROWS if row.base == "tiny" and row.path not in OF_ARCHIVES and row.stage != NOTHING)],
    ids=attrgetter("named"),
)
def test_a_changed_line_reruns_what_its_row_says(row: Row, dry_runs: DryRuns, lost: Path) -> None:
    plan = dry_runs.plan(lost, all_changed([row]))
    expected = row.stage.among(plan.jobs, row.where)
    assert set(plan.runs) == expected, sorted(map(str, set(plan.runs) ^ expected))


@pytest.mark.parametrize("rows", deciding_nothing("tiny"), ids=len)
def test_lines_whose_rows_say_nothing_rerun_nothing(rows: list[Row], dry_runs: DryRuns, lost: Path) -> None:
    """All at once: what any of them decides about would run."""
    assert not dry_runs.plan(lost, all_changed(rows)).runs
