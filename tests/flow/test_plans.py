"""Every use of what Snakemake does not document in `tests.support.plans`; see test_snakemake_private.py."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import plans
from tests.support.small_workflows import ANCIENT, HEAD, SIDE_BY_SIDE, asked, planned_rules, snakemake, values


def test_jobs_are_planned_for_this_machine_or_a_cluster_and_some_are_kept_here(tmp_path: Path) -> None:
    """`planned`, `runs_here` (as threads) and `keep_here`. By itself a cluster's job is not local."""
    found = "(job.rule.name, job.is_local, job.threads, job.resources.get('gpu'))"
    code = f"with plan({{}}) as workflow:\n    say(sorted({found} for job in plans.reasons(workflow)))"
    (tmp_path / "here.json").write_text('{"here": true}')
    on_cluster = "executor='slurm', overwritten={'one': {'gpu': '3'}}"
    assert asked(tmp_path, code.format(""), SIDE_BY_SIDE)[1:] == [["one", True, 1, None]] * 2
    assert asked(tmp_path, code.format(on_cluster))[1:] == [["one", False, 2, 3]] * 2
    assert asked(tmp_path, code.format(f"Path('here.json').absolute(), {on_cluster}"))[1:] == [["one", True, 2, 3]] * 2


def test_jobs_that_are_pretended_count_as_run_with_their_params_and_checksums(tmp_path: Path) -> None:
    """By itself a plan records nothing: without it all would run."""
    code = """
with plan(Path("config.json").absolute(), targets=frozenset(["c"])) as workflow:
    made = []
    def write(path, is_folder):
        made.append([str(path), is_folder])
        path.write_text("made")
    plans.pretend_finished(workflow, plans.reasons(workflow), write)
    say(made)
"""
    (tmp_path / "config.json").write_text(json.dumps({"mend": True, **dict.fromkeys(("of_a", "of_b", "of_c"), "old")}))
    (tmp_path / "Snakefile").write_text(HEAD + ANCIENT.replace('ancient("a")', '"a"'))
    assert asked(tmp_path, code) == [["a", False], ["b", False], ["c", False]], "in the order of the DAG"
    assert "Nothing to be done" in snakemake(tmp_path, *values())
    assert planned_rules(snakemake(tmp_path, "--dry-run", *values("c"))) == {"c"}
    reasons = "with plan(Path('config.json').absolute(), targets=frozenset(['c'])) as workflow:\n    say({})".format(
        "{job.rule.name: why for job, why in plans.reasons(workflow).items()}"
    )
    assert asked(tmp_path, reasons) == dict.fromkeys("abc")
    (tmp_path / "a").touch()
    assert "Nothing to be done" in snakemake(tmp_path, *values()), "a is newer, but the same"
    (tmp_path / "b").write_text("edited")
    assert planned_rules(snakemake(tmp_path, "--dry-run", *values())) == {"c"}
    assert asked(tmp_path, reasons) == {"a": None, "b": None, "c": "Updated input files: b"}
    found = {output.name: (record["rule"], path.exists()) for output, path, record in plans.records(tmp_path)}
    assert found == {name: (name, True) for name in "abc"}
