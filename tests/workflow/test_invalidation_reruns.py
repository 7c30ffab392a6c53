"""Changed lines run for real: what the table says is done, and every other artefact keeps its bytes and time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foxnas.files.tables import read_table
from tests.support.dag import EVERYTHING, DryRuns
from tests.support.invalidation import BASES, ROWS, Row, changed
from tests.support.tiny_run import snakemake

#: Some of the rows, cheap ones, one after the other: each starts where the one before has ended.
RUN = [
    "validation.max_drop_percent", "predictors.further_targets.0.column", "predictors.rivals.training_subnets",
    "baselines.random_searches", "comparison.seeds", "predictors.rivals.repeats",
]  # fmt: skip


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


#: The merged config, written by every run.
CONFIG = "results/config.yaml"


def artefacts(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and modification times of all that the run holds, but for logs, times and journals."""
    aside = {"logs", "benchmarks", "journals"}
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.glob("results/**/*")
        if path.is_file() and not aside & set(path.relative_to(folder).parts)
    }


def execute(folder: Path, config: dict[str, Any], *targets: str) -> None:
    path = folder / "changed.yaml"
    path.write_text(json.dumps(config))
    snakemake(folder, *targets, config=path)


def test_rows_of_the_table_run_and_leave_the_rest_alone(run: Path, dry_runs: DryRuns) -> None:
    config = BASES["tiny"].config()
    for path in RUN:
        row: Row = next(row for row in ROWS if row.path == path and row.base == "tiny")
        config = changed(config, {row.path: row.value})
        plan = dry_runs.plan(run, config)
        assert set(plan.runs) == row.stage.among(plan.jobs, row.where)
        before = artefacts(run)
        execute(run, config, *EVERYTHING)
        after = artefacts(run)
        made = {file for job in plan.runs for file in plan.jobs[job]}
        assert {name for name in after if after[name] != before.get(name)} == made | {CONFIG}
        assert not dry_runs.plan(run, config).runs


def test_growth_measures_the_growth_and_shrinking_nothing(run: Path, dry_runs: DryRuns) -> None:
    """100 to 200 subnets of one size, really sampled, evaluated and timed; back to 100, and to 200 again."""
    small, large = BASES["tiny"].config(), changed(BASES["tiny"].config(), {"sampling.subnets": 200})
    tables = [f"results/mini/16/{name}.csv" for name in ("accuracy", "latency-local")]
    execute(run, small, *tables)
    before, first = artefacts(run), [read_table(run / name) for name in tables]
    execute(run, large, *tables)
    after = artefacts(run)
    shards = {name for name in after if "/16/shards/" in name}
    assert {name for name in shards if after[name] != before.get(name)} == {name for name in shards if "/1." in name}
    assert {name for name in after if after[name] != before.get(name)} - shards == {*tables, CONFIG}
    for name, known in zip(tables, first, strict=True):
        grown = read_table(run / name)
        assert len(grown) == 200
        assert grown["id"].is_unique
        # A column without a reason in it is one of numbers, where no row was flagged.
        assert grown.head(100).equals(known.astype(grown.dtypes))
    measuring = {"sample_subnets", "evaluate_subnets", "time_subnets"}
    assert not dry_runs.plan(run, small, tables).rules & measuring
    execute(run, small, *tables)
    assert [read_table(run / name).equals(known) for name, known in zip(tables, first, strict=True)] == [True] * 2
    assert not dry_runs.plan(run, large, tables).rules & measuring
