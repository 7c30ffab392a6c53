"""The targets as a user asks for them, after a real tiny run: what they make, and what they leave alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comparisons.report.strategies import LOOKS
from foxnas.files.tables import read_json, read_provenance, read_table
from foxnas.predictor.config import RivalsConfig
from tests.support.dag import ASKED_FOR, EVERYTHING, DryRuns
from tests.support.examples import planned, smallest, write_project
from tests.support.examples import run as typed
from tests.support.invalidation import BASES, changed
from tests.support.scripts import ROOT

OURS = {
    "run_strategies", "evaluate_found", "time_found", "compile_found", "time_compiled_found", "estimate_found",
    "compare_accuracy_predictors", "compare_latency_predictors", *ASKED_FOR,
}  # fmt: skip


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


def ran(text: str) -> set[str]:
    """The rules of which Snakemake says that a job is to run."""
    return set(re.findall(r"^([a-z_]+) +\d+ *$", text, re.MULTILINE)) - {"total"}


def test_the_default_run_makes_none_of_it_and_a_target_nothing_else(run: Path) -> None:
    assert not ran((run / "terminal.txt").read_text()) & OURS
    later = (run / "asked-for.txt").read_text()
    assert ran(later) == OURS - {"compile_found", "time_compiled_found", "estimate_found"}
    # Two image sizes of one shard, which the default run has measured.
    assert " subnets evaluated 0 200 probes timed on local 0 200 " in " ".join(later.split())
    for page in ("strategies", "predictors"):
        assert f"page     results/mini/{page}.html" in later


def test_every_rule_belongs_to_the_default_run_or_to_a_target(dry_runs: DryRuns, tmp_path: Path) -> None:
    config = BASES["devices"].config() | {"predictors": BASES["npu"].config()["predictors"]}
    config["devices"] += BASES["npu"].config()["devices"]
    default = {job.rule for job in dry_runs.plan(tmp_path, config, ["all"]).jobs}
    assert not default & OURS
    assert {job.rule for job in dry_runs.plan(tmp_path, config, EVERYTHING).jobs} == default | OURS


def test_tables_and_pages_are_whole(run: Path) -> None:
    space = run / "results" / "mini"
    strategies = space / "search" / "local" / "p90" / "strategies"
    config = BASES["tiny"].config()
    found = read_table(strategies / "found.csv")
    assert set(found["strategy"]) == {*LOOKS, "exact"}
    assert len(found) == 1 + len(LOOKS) * config["comparison"]["seeds"]
    subnets = set(read_table(strategies / "subnets.csv")["id"])
    for name in ("accuracy", "latency"):
        assert set(read_table(strategies / f"{name}.csv")["id"]) == subnets == set(found["id"])
    rivals = config["predictors"]["rivals"]
    for name in ("accuracy", "latency-local"):
        scores = read_table(space / "predictors" / f"{name}-scores.csv")
        assert set(scores["requested_subnets"]) == set(rivals["training_subnets"])
    budget = read_json(space / "search" / "local" / "p90" / "budget.json")
    assert budget["name"] in (space / "strategies.html").read_text()
    assert "boosted trees" in (space / "predictors.html").read_text()


def test_null_compares_with_the_defaults(run: Path, dry_runs: DryRuns, tmp_path: Path) -> None:
    """Null and the defaults written out are the same to the jobs; other numbers are not."""
    config: dict[str, Any] = BASES["tiny"].config()
    BASES["tiny"].bring(tmp_path)
    null = changed(config, {"predictors.rivals": None})
    dry_runs.pretend(tmp_path, null)
    assert not dry_runs.plan(tmp_path, changed(null, {"predictors.rivals": RivalsConfig().model_dump()})).runs
    assert dry_runs.plan(tmp_path, config).rules == {
        "compare_accuracy_predictors", "compare_latency_predictors", "compare_predictors"
    }  # fmt: skip
    given = read_provenance(run / "results" / "mini" / "predictors" / "accuracy-scores.csv")["settings"]["rivals"]
    assert given["training_subnets"] == config["predictors"]["rivals"]["training_subnets"]


def test_as_a_module_with_a_prefix_everything_is_below_it(tmp_path: Path) -> None:
    write_project(tmp_path, smallest())
    (tmp_path / "foxnas").symlink_to(ROOT)
    (tmp_path / "Snakefile").write_text(
        "configfile: 'config/config.yaml'\n"
        "module foxnas:\n    snakefile: 'foxnas/Snakefile'\n    config: config\n    prefix: 'nas'\n"
        "use rule * from foxnas as foxnas_*\n"
    )
    said = typed(
        tmp_path, "snakemake --cores 1 --dry-run --printshellcmds foxnas_compare_strategies foxnas_compare_predictors"
    )
    plan = planned(said)
    assert {f"foxnas_{rule}" for rule in OURS - {"compile_found", "time_compiled_found", "estimate_found"}} <= plan
    assert not {"foxnas_write_report", "foxnas_export_candidates"} & plan
    assert set(re.findall(r"--page (\S+)", said)) == {
        "nas/results/mini/strategies.html",
        "nas/results/mini/predictors.html",
    }
    assert "python .snakemake/foxnas/checkout/comparisons/scripts/run_strategies.py" in said
    assert not re.findall(r"\S* (?<!\w)results/\S+", said), "a path in a command does not follow the prefix"
