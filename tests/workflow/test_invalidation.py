"""Every leaf of the config: what changing it in a finished run would run again, against `invalidation.ROWS`.

Rows of the base `tiny` are asked of a real finished run on this machine, all others of runs that are finished as far
as Snakemake can tell: its metadata are what it writes after a job, the files are placeholders. A dry run reads nothing
but metadata, checksums and time stamps, so the answers are the same; one test holds the two against each other. What
is computed when a rule does run again is for `test_invalidation_reruns.py`.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from foxnas.config.whole import Config
from foxnas.settings.section import fields_of, sections_in
from tests.support.configs import FOLDER, written_out
from tests.support.dag import DryRuns, Plan
from tests.support.invalidation import BASES, NOTHING, ROWS, Row, all_changed, changed, deciding_nothing
from tests.support.invalidation_page import PAGE, page


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


@pytest.fixture(scope="module")
def finished(run: Path, dry_runs: DryRuns, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each base."""
    folders = {name: run if name == "tiny" else tmp_path_factory.mktemp(name) for name in BASES}
    for name, folder in folders.items():
        BASES[name].bring(folder)
        if name != "tiny":
            dry_runs.pretend(folder, BASES[name].config(), BASES[name].targets)
    return folders


@pytest.fixture(scope="module")
def unchanged(dry_runs: DryRuns, finished: dict[str, Path]) -> dict[str, Plan]:
    """What would run in each without any change."""
    return {name: dry_runs.plan(folder, BASES[name].config(), BASES[name].targets) for name, folder in finished.items()}


def leaves(section: type = Config, prefix: str = "") -> Iterator[str]:
    """The lines of the config: values, lists, and sections that may be absent."""
    for name, annotation in fields_of(section).items():
        below, listed = sections_in(annotation), typing.get_origin(annotation) in (list, tuple)
        if not below or listed or type(None) in typing.get_args(annotation):
            yield f"{prefix}{name}"
        for inner in below:
            yield from leaves(inner, f"{prefix}{name}{'[]' if listed else ''}.")


def test_every_leaf_says_what_it_costs() -> None:
    missing = sorted(set(leaves()) - {row.leaf for row in ROWS})
    assert not missing, (
        f"no row of tests/support/invalidation.py says what changing {', '.join(missing)} runs again: add one to ROWS, "
        "such as Row(path, another value, SEARCH), with the stage from which on things run again (NOTHING is one); if "
        "a result does not depend on the leaf, keep it out of the rules' params. Then: "
        "python -m tests.support.invalidation_page"
    )
    unknown = sorted({row.leaf for row in ROWS} - set(leaves()))
    assert not unknown, f"rows of tests/invalidation.py are of no leaf of the config: {', '.join(unknown)}"


def test_a_finished_run_has_nothing_to_do(unchanged: dict[str, Plan]) -> None:
    assert {name: plan.runs for name, plan in unchanged.items()} == {name: {} for name in BASES}


@pytest.mark.parametrize("name", ["config", "tiny", "imagenet", "coral"])
def test_a_default_may_be_written_out_or_left_out(name: str, dry_runs: DryRuns, tmp_path: Path) -> None:
    """A finished run of a config with every key, as all were before there were defaults, is one of the short config."""
    (tmp_path / "imagenet").mkdir()
    dry_runs.pretend(tmp_path, written_out(name))
    plan = dry_runs.plan(tmp_path, FOLDER / f"{name}.yaml")
    assert len(plan.jobs) > 30
    assert not plan.runs


@pytest.mark.parametrize("row", [row for row in ROWS if row.stage != NOTHING], ids=attrgetter("named"))
def test_a_changed_line_reruns_what_its_row_says(row: Row, dry_runs: DryRuns, finished: dict[str, Path]) -> None:
    plan = dry_runs.plan(finished[row.base], all_changed([row]), BASES[row.base].targets)
    expected = row.stage.among(plan.jobs, row.where)
    too_much = {str(job): reason for job, reason in plan.runs.items() if job not in expected}
    assert not too_much, "these would run, but should not"
    assert not sorted(map(str, expected - set(plan.runs))), "these should run, but would not"


@pytest.mark.parametrize(
    "rows", [rows for base in BASES for rows in deciding_nothing(base)], ids=lambda rows: f"{rows[0].base}-{len(rows)}"
)
def test_lines_whose_rows_say_nothing_rerun_nothing(
    rows: list[Row], dry_runs: DryRuns, finished: dict[str, Path], unchanged: dict[str, Plan]
) -> None:
    """All at once, among the same jobs: what any of them decides about would run."""
    base = rows[0].base
    plan = dry_runs.plan(finished[base], all_changed(rows), BASES[base].targets)
    assert not plan.runs, f"one of {', '.join(row.path for row in rows)}"
    assert plan.jobs == unchanged[base].jobs


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("mine.py", "search_architectures"),
        ("energy/local-16.csv", "fit_target"),
        ("photos/cat/1.jpg", "fetch_images"),
        ("mine.safetensors", "take_checkpoint"),
    ],
)
def test_a_users_file_replaced_by_an_older_one_reruns_what_reads_it(
    file: str, rule: str, dry_runs: DryRuns, finished: dict[str, Path], tmp_path: Path
) -> None:
    """Of the same size, and from before what was made of the other, as `cp -p` and `mv` bring it."""
    folder, config = finished["own"], BASES["own"].config()
    if file.endswith(".safetensors"):
        folder, config = tmp_path, changed(config, {"supernet.source": "checkpoint", "supernet.checkpoint": file})
        BASES["own"].bring(folder)
        (folder / file).write_text("weights")
        dry_runs.pretend(folder, config)
    path = folder / file
    before = path.read_bytes()
    assert not dry_runs.plan(folder, config).runs
    path.write_bytes(before[::-1])
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert rule in dry_runs.plan(folder, config).rules
    path.write_bytes(before)
    assert not dry_runs.plan(folder, config).runs


def test_a_donor_measured_otherwise_reruns_who_is_likened_to_it_and_nobody_else(
    dry_runs: DryRuns, finished: dict[str, Path]
) -> None:
    config = changed(BASES["likened"].config(), {"devices.0.protocol.seed": 1})
    runs = {(job.rule, dict(job.wildcards).get("device")) for job in dry_runs.plan(finished["likened"], config).runs}
    assert {("time_subnets", "local"), ("time_chosen", "near"), ("fit_like", "near")} <= runs
    assert "other" not in {device for _, device in runs}


def test_a_donor_fitted_again_times_nothing(dry_runs: DryRuns, finished: dict[str, Path]) -> None:
    config = changed(BASES["likened"].config(), {"predictors.folds": 5})
    rules = dry_runs.plan(finished["likened"], config).rules
    assert {"fit_latency", "fit_like"} <= rules
    assert not {"time_subnets", "time_chosen", "time_rest"} & rules


def test_placeholders_answer_as_a_real_run_does(dry_runs: DryRuns, finished: dict[str, Path], tmp_path: Path) -> None:
    """The same jobs, and for the same kind of reason; which files it lists depends on the order of Snakemake's sets."""
    config = BASES["tiny"].config()
    BASES["tiny"].bring(tmp_path)
    dry_runs.pretend(tmp_path, config)
    # Of fits of all sizes together a real run says first that one size's table is newer than another's fit.
    rows = [row for row in ROWS if row.base == "tiny" and row.path != "predictors.accuracy_sizes"]
    for row in rows[::12]:
        other = all_changed([row])
        pretended, real = (
            {job: reason.partition(":")[0] for job, reason in dry_runs.plan(folder, other).runs.items()}
            for folder in (tmp_path, finished["tiny"])
        )
        assert pretended == real


def test_the_page_is_this_table() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.support.invalidation_page"
