"""Every use of what Snakemake does not document, on small workflows: that Snakemake does so, and does not by itself.

A test that fails under another Snakemake names the function of `foxnas.flow.snakemake_private` or `snakemake_mends` to
look at. Where it says "by itself" and fails, Snakemake has learnt it, and the function can go.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource

from foxnas.flow import snakemake_mends as mends
from foxnas.flow import snakemake_private as private
from foxnas.flow.params import untracked
from tests.support.small_workflows import ANCIENT, SIDE_BY_SIDE, asked, facts, planned_rules, snakemake, values

#: A table that says what it was made with, and one that does not.
TABLES = """
if config["mend"]:
    mends.mend_snakemake()
def settings(wildcards):
    return json.dumps({"protocol": {"threads": config["threads"]}, "seed": 0})
def said(wildcards, output):
    made_by = json.dumps({"made_by": {"settings": json.loads(settings(wildcards))}})
    return f"# foxnas table {made_by}" if wildcards.name == "told" else "silent"
rule all:
    input: "told.csv", "silent.csv"
rule table:
    output: "{name}.csv"
    params: settings=settings, said=said
    shell: "echo {params.said:q} > {output}; echo id >> {output}"
"""


@pytest.mark.parametrize("mend", [False, True])
def test_lost_records_are_made_up_for_by_what_outputs_say(tmp_path: Path, mend: bool) -> None:
    """By itself, Snakemake reruns nothing of which it has no record."""
    words = ["--config", f"mend={mend}"]
    snakemake(tmp_path, *words, "threads=1", snakefile=TABLES)
    assert "reason: Params" in snakemake(tmp_path, "--dry-run", *words, "threads=2").replace("\n", " ")
    shutil.rmtree(tmp_path / ".snakemake")
    assert not planned_rules(snakemake(tmp_path, "--dry-run", *words, "threads=1"))
    text = snakemake(tmp_path, "--dry-run", *words, "threads=2")
    assert ("before: protocol.threads: 1 now: protocol.threads: 2" in text) == mend
    assert re.findall(r"output: (\S+csv)", text) == ["told.csv"] * mend
    snakemake(tmp_path, "--touch", *words, "threads=2")
    assert not planned_rules(snakemake(tmp_path, "--dry-run", *words, "threads=2"))


#: A table of other files' names, which says of how many.
JOINED = """
from foxnas.flow.inputs import input_sets
if config["mend"]:
    mends.mend_snakemake()
def said(wildcards, input, output):
    made_by = json.dumps({"made_by": {"settings": {}, "inputs": input_sets(input)}})
    return f"# foxnas table {made_by}"
rule join:
    input: tables=expand("results/{name}.txt", name=range(int(config["tables"])))
    output: "joined.csv"
    params: settings="{}", said=said
    shell: "echo {params.said:q} > {output}; echo id >> {output}"
rule one:
    output: "results/{name}.txt"
    shell: "touch {output}"
"""


@pytest.mark.parametrize("mend", [False, True])
def test_lost_records_of_inputs_are_made_up_for_too(tmp_path: Path, mend: bool) -> None:
    """One table less, of which no settings tell: by itself, Snakemake keeps what was made of more."""
    words = ["--config", f"mend={mend}"]
    snakemake(tmp_path, *words, "tables=3", snakefile=JOINED)
    assert planned_rules(snakemake(tmp_path, "--dry-run", *words, "tables=2")) == {"join"}
    shutil.rmtree(tmp_path / ".snakemake")
    assert not planned_rules(snakemake(tmp_path, "--dry-run", *words, "tables=3"))
    text = snakemake(tmp_path, "--dry-run", *words, "tables=2")
    assert planned_rules(text) == ({"join"} if mend else set())
    assert bool(re.search(r'before: inputs.tables: "3 files \w{8}" now: inputs.tables: "2 files \w{8}"', text)) == mend


def test_config_files_and_the_command_line_are_told_apart(tmp_path: Path) -> None:
    """By itself, `config` has all of it merged, and a number of `--config` as a text where it is nested."""
    snakefile = """
if not workflow.overwrite_configfiles:
    configfile: "demo.yaml"
files, typed = private.config_sources(workflow)
say(files=[file.name for file in files], typed=typed, config=config)
rule all:
    output: "done"
    shell: "touch {output}"
"""
    for name, text in (("demo", "our: {x: 1}"), ("one", "our: {x: 2, y: 2}"), ("two", "our: {x: 3}")):
        (tmp_path / f"{name}.yaml").write_text(text)
    snakemake(tmp_path, "--dry-run", "--config", "our={y: 7}", snakefile=snakefile)
    assert facts(tmp_path)[-1] == {
        "files": ["demo.yaml"], "typed": {"our": {"y": "7"}}, "config": {"our": {"x": 1, "y": "7"}},
    }  # fmt: skip
    snakemake(tmp_path, "--dry-run", "--configfile", "one.yaml", "two.yaml")
    assert facts(tmp_path)[-1] == {"files": ["one.yaml", "two.yaml"], "typed": {}, "config": {"our": {"x": 3, "y": 2}}}
    declared = snakefile.replace("if not workflow.overwrite_configfiles:\n    ", "")
    snakemake(tmp_path, "--dry-run", "--configfile", "one.yaml", snakefile=declared)
    assert facts(tmp_path)[-1]["files"] == ["demo.yaml", "one.yaml"]
    assert facts(tmp_path) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ancient")
    snakemake(folder, *values(), snakefile=ANCIENT)
    return folder


@pytest.mark.parametrize(
    ("changed", "mend", "expected"),
    [
        ("a", True, "a"),
        ("ab", True, "abc"),
        ("ac", True, "ac"),
        ("ab", False, "a"),  # by itself
    ],
)
def test_a_change_downstream_of_an_ancient_input_that_is_made_again(
    finished: Path, changed: str, mend: bool, expected: str
) -> None:
    """With a alone changed, b is spared; with b or c changed too, they run as well. Snakemake by itself stops at a."""
    assert planned_rules(snakemake(finished, "--dry-run", *values(changed, mend))) == set(expected)


def _grown(amount: int, wildcards: Any, *, attempt: int = 1, **others: int) -> int:
    return amount * attempt + sum(others.values())


@pytest.mark.parametrize(
    "function",
    [
        _grown, partial(_grown, 3), lambda wildcards, input: None, Resource("a", 1).evaluate, private.jobs_of,
        SimpleNamespace(plan=logging.getLogger().info).plan,
    ],
)  # fmt: skip
def test_remembered_parameters_are_those_of_the_functions(function: Callable[..., Any]) -> None:
    for _ in range(2):
        assert dict(mends.parameters_of(function)) == dict(inspect.signature(function).parameters)


def test_snakemake_asks_once_for_parameters_and_makers_and_not_by_itself_per_job(tmp_path: Path) -> None:
    """For a function's parameters, and for the rules that make a file which many jobs read."""
    snakefile = """
import inspect
from collections import Counter
from snakemake.output_index import OutputIndex
looked_at, signature, match = Counter(), inspect.signature, OutputIndex.match
def counting(function, *arguments, **named):
    looked_at[getattr(function, "__name__", "")] += 1
    return signature(function, *arguments, **named)
def matching(index, file):
    looked_at[str(file)] += 1
    return match(index, file)
inspect.signature, OutputIndex.match = counting, matching
def needed(wildcards):
    return ["shared"]
if config["mend"]:
    mends.mend_snakemake()
rule all:
    input: expand("{i}", i=range(20))
rule one:
    input: needed
    output: "{i}"
    wildcard_constraints: i="[0-9]+"
    shell: "touch {output}"
rule two:
    output: "shared"
    shell: "touch {output}"
"""
    code = "with plan(Path(%r).absolute()) as workflow:\n    at = workflow.globals['looked_at']\n    "
    code += "say([at['needed'], at['shared']])"
    (tmp_path / "mended.json").write_text('{"mend": true}')
    (tmp_path / "itself.json").write_text('{"mend": false}')
    assert asked(tmp_path, code % "mended.json", snakefile) == [1, 1]
    parameters, makers = asked(tmp_path, code % "itself.json")
    assert parameters >= 20
    assert makers >= 20


def test_only_the_users_command_starts_a_run(tmp_path: Path) -> None:
    """Not `--lint`, nor the process that Snakemake starts for a job with `run`."""
    snakefile = """
say(starts=private.starts_a_run(workflow))
rule a:
    output: "a"
    log: "a.log"
    run: open(output[0], "w").close()
"""
    snakemake(tmp_path, "--dry-run", snakefile=snakefile)
    assert facts(tmp_path) == [{"starts": True}]
    snakemake(tmp_path)
    assert facts(tmp_path) == [{"starts": True}, {"starts": False}]
    snakemake(tmp_path, "--lint", check=False)
    assert facts(tmp_path) == [{"starts": False}]


def test_the_prefix_of_a_module_is_put_before_paths_that_snakemake_does_not_know(tmp_path: Path) -> None:
    """A param does not follow the prefix by itself; an output does."""
    (tmp_path / "inner.smk").write_text(
        """
from foxnas.flow import snakemake_mends as mends, snakemake_private as private
rule a:
    output: "results/a"
    params: plain="results/b", prefixed=private.module_prefix(workflow)("results/b")
    shell: "echo {params.plain} {params.prefixed} > {output}"
"""
    )
    module = 'module inner:\n    snakefile: "inner.smk"\n    prefix: "nas"\nuse rule * from inner\n'
    snakemake(tmp_path, "nas/results/a", snakefile=module)
    assert (tmp_path / "nas/results/a").read_text() == "results/b nas/results/b\n"
    snakemake(tmp_path, "results/a", snakefile='include: "inner.smk"\n')
    assert (tmp_path / "results/a").read_text() == "results/b results/b\n"


def test_a_param_that_takes_the_output_is_never_compared(tmp_path: Path) -> None:
    """By itself, a changed param runs its job again; `foxnas.flow.params.untracked` keeps one from that."""
    snakefile = """
from foxnas.flow.params import untracked
rule a:
    output: "a"
    params: tracked=config["tracked"], untracked=untracked(value=lambda wildcards: config["untracked"])
    shell: "echo {params.untracked:q} > {output}"
"""
    snakemake(tmp_path, "--config", "tracked=1", "untracked=1", snakefile=snakefile)
    assert (tmp_path / "a").read_text().strip() == untracked(value=lambda _: 1)(None, None)
    assert "Nothing to be done" in snakemake(tmp_path, "--config", "tracked=1", "untracked=2")
    assert planned_rules(snakemake(tmp_path, "--dry-run", "--config", "tracked=2", "untracked=1")) == {"a"}


def test_a_limited_resource_holds_jobs_apart_whatever_the_user_says_of_it(tmp_path: Path) -> None:
    """The rules hold what is added to them after they were read. By itself nothing holds them apart."""
    snakemake(tmp_path, "--resources", "lane=9", "--config", "lane=1", snakefile=SIDE_BY_SIDE)
    assert (tmp_path / "order").read_text().split() == ["begin", "end"] * 2
    assert facts(tmp_path)[1:] == [{"rule": "all", "has_lane": False}, {"rule": "one", "has_lane": False}]
    (tmp_path / "order").unlink()
    snakemake(tmp_path, "--forceall")
    assert (tmp_path / "order").read_text().split() == ["begin", "begin", "end", "end"]


def test_what_the_user_sets_of_a_rules_resources_is_known(tmp_path: Path) -> None:
    snakemake(tmp_path, "--dry-run", "--set-resources", "one:slurm_partition=gpu", "one:gpu=2", snakefile=SIDE_BY_SIDE)
    assert facts(tmp_path) == [{"overwritten": {"one": ["gpu", "slurm_partition"]}}]
    snakemake(tmp_path, "--dry-run")
    assert facts(tmp_path) == [{"overwritten": {}}]


def test_a_lock_lies_where_it_can_be_released(tmp_path: Path) -> None:
    snakefile = f"""
rule a:
    output: "a"
    shell: "cp -r {private.LOCKS} kept; touch {{output}}"
"""
    snakemake(tmp_path, snakefile=snakefile)
    assert not list((tmp_path / private.LOCKS).glob("*"))
    assert list((tmp_path / "kept").glob("*.lock")), "while it runs"
    shutil.copytree(tmp_path / "kept", tmp_path / private.LOCKS, dirs_exist_ok=True)
    assert "locked" in snakemake(tmp_path, "--forceall", check=False)
    shutil.rmtree(tmp_path / private.LOCKS)
    snakemake(tmp_path, "--forceall")


@pytest.mark.parametrize("name", [None, ".snakemake/incomplete/abc"])
def test_a_full_disk_under_snakemakes_own_records_is_a_sentence(name: str | None) -> None:
    """Where the file is known, as when it is opened, and where it is not, as when it is flushed."""
    error = OSError(errno.ENOSPC, "No space left on device", name)
    persistence = SimpleNamespace(started=Mock(side_effect=error))
    rule = SimpleNamespace(name="split_images", lineno=3, snakefile="data.smk")
    rule.workflow = SimpleNamespace(persistence=persistence)
    job = SimpleNamespace(params=SimpleNamespace(settings="{}"), rule=rule)
    with pytest.raises(WorkflowError, match=r"error: \.snakemake\S* ?.*: No space left on device; make room"):
        asyncio.run(mends._mark_first(job))


#: Every budget needs what all have in common, which is temporary.
TOGETHER = """
from foxnas.flow import named, retirement
if config["mend"]:
    mends.mend_snakemake()
budgets = str(config["budgets"]).split("+")
asked = lambda pattern: named.of_budgets(lambda: private.targets(workflow), budgets, pattern)
rule all:
    input: expand("{budget}/latency", budget=budgets)
rule confirm_together:
    input: asked("{budget}/ranking")
    output: temp("together")
    params: settings="{}", budgets=asked("{budget}"), journal=asked("journals/{budget}")
    shell: "echo {params.journal} > asked; ls {params.journal} > begun 2> /dev/null || true; touch {output}"
rule confirm_latency:
    input: ancient("together"), "{budget}/ranking"
    output: "{budget}/latency"
    params: settings="{}", journal="journals/{budget}"
    shell: "echo measured > {params.journal}; cp {input[1]} {output}"
onstart: retirement.retire_journals(workflow); retirement.begin_journals(workflow)
onsuccess: retirement.retire_journals(workflow)
onerror: retirement.retire_journals(workflow)
"""


def common(folder: Path) -> tuple[str, str]:
    """Of which budgets the common job was told, and which of them it learnt to be confirmed."""
    asked, begun = (re.findall(r"p\d+", (folder / name).read_text()) for name in ("asked", "begun"))
    return "+".join(asked), "+".join(begun)


@pytest.mark.parametrize("mend", [False, True])
def test_what_is_temporary_is_made_for_those_that_need_it_and_by_no_change(tmp_path: Path, mend: bool) -> None:
    """Of budgets that come, go and are forced; the common job knows who is to be confirmed by their journals."""
    for name in ("p25", "p50", "p75"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ranking").write_text(name)
    words = ["--config", f"mend={mend}"]
    snakemake(tmp_path, *words, "budgets=p25+p50", snakefile=TOGETHER)
    assert common(tmp_path) == ("p25+p50", "p25+p50")
    assert not (tmp_path / "together").exists()
    left = sorted(path.name for path in (tmp_path / "journals").iterdir())
    assert left == ["p25.finished", "p50.finished"], "the common job has no journal of its own to put aside"
    less = planned_rules(snakemake(tmp_path, "--dry-run", *words, "budgets=p25"))
    assert bool(less) != mend, "by itself Snakemake sees that the common job would have other inputs"
    if not mend:
        return
    snakemake(tmp_path, *words, "budgets=p25+p50+p75")
    assert common(tmp_path) == ("p25+p50+p75", "p75")
    snakemake(tmp_path, *words, "budgets=p25+p50+p75", "--forcerun", "p50/latency")
    assert common(tmp_path) == ("p25+p50+p75", "p50")
    (tmp_path / "p25" / "ranking").write_text("another")
    snakemake(tmp_path, "p25/latency", *words, "budgets=p25+p50+p75")
    assert common(tmp_path) == ("p25", "p25"), "a target names its budget"
    done = snakemake(tmp_path, "--dry-run", *words, "budgets=p25+p50+p75")
    assert not planned_rules(done)
    assert "metadata" not in done


def test_a_killed_run_keeps_the_journals_that_the_common_job_has_written(tmp_path: Path) -> None:
    """The temporary file is there, and what it was made for is not."""
    for name in ("p25", "p50"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ranking").write_text(name)
    words = ["--config", "mend=True", "budgets=p25+p50"]
    broken = TOGETHER.replace("cp {input[1]}", "test ! -e broken; cp {input[1]}")
    (tmp_path / "broken").touch()
    snakemake(tmp_path, *words, snakefile=broken, check=False)
    (tmp_path / "journals" / "p50").write_text("sessions")
    assert planned_rules(snakemake(tmp_path, "--dry-run", *words)) == {"all", "confirm_latency"}
    snakemake(tmp_path, *words, check=False)
    assert (tmp_path / "journals" / "p50").read_text() == "measured\n", "written anew, and not put aside before"
    assert not (tmp_path / "journals" / "p50.finished").exists()
