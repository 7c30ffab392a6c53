"""Every use of what Snakemake does not document, on small workflows: that Snakemake does so, and does not by itself.

A test that fails under another Snakemake names the function of `foxnas.flow.snakemake_private` to look at. Where it
says "by itself" and fails, Snakemake has learnt it, and the function can go.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from snakemake.resources import Resource

from foxnas.flow import snakemake_private as private
from foxnas.flow.params import untracked

ROOT = Path(__file__).resolve().parents[2]

#: Every workflow can say facts as JSON, a line each; they are asked of the real thing, in its own process.
HEAD = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from foxnas.flow import snakemake_private as private
def say(**facts):
    with open("facts.jsonl", "a") as file:
        file.write(json.dumps(facts, default=str) + chr(10))
"""


def snakemake(folder: Path, *words: str, snakefile: str = "", check: bool = True, **environment: str) -> str:
    """What a run says, on two cores."""
    if snakefile:
        (folder / "Snakefile").write_text(HEAD + snakefile)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def facts(folder: Path) -> list[dict[str, Any]]:
    """What was said since the last time."""
    path = folder / "facts.jsonl"
    said = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return said


def asked(folder: Path, code: str, snakefile: str = "") -> Any:
    """The value that `code` says as JSON, in a process of its own with `plan`, the partial of `planned`."""
    if snakefile:
        (folder / "Snakefile").write_text(HEAD + snakefile)
    prelude = (
        "import json, sys\nfrom functools import partial\nfrom pathlib import Path\n"
        "from foxnas.flow import snakemake_private as private\n"
        "plan = partial(private.planned, Path('Snakefile').absolute(), Path().absolute())\n"
        "def say(value): print('\\n' + json.dumps(value))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def planned_rules(text: str) -> set[str]:
    return set(re.findall(r"^(?:local)?rule (\w+):", text, re.MULTILINE))


#: b takes a's file as ancient; a, b and c have a param each.
ANCIENT = """
if config["mend"]:
    private.mend_snakemake()
    private.mend_snakemake()
rule c:
    input: "b"
    output: "c"
    params: value=config["of_c"]
    shell: "echo {params.value} > {output}"
rule b:
    input: ancient("a")
    output: "b"
    params: value=config["of_b"]
    shell: "echo {params.value} > {output}"
rule a:
    output: "a"
    params: value=config["of_a"]
    shell: "echo {params.value} > {output}"
"""


def values(changed: str = "", mend: bool = True) -> list[str]:
    return ["--config", f"mend={mend}", *(f"of_{name}={'new' if name in changed else 'old'}" for name in "abc")]


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
        _grown, partial(_grown, 3), lambda wildcards, input: None, Resource("a", 1).evaluate, private.records,
        SimpleNamespace(plan=logging.getLogger().info).plan,
    ],
)  # fmt: skip
def test_remembered_parameters_are_those_of_the_functions(function: Callable[..., Any]) -> None:
    for _ in range(2):
        assert dict(private.parameters_of(function)) == dict(inspect.signature(function).parameters)


def test_snakemake_asks_for_parameters_once_per_function_and_not_by_itself_per_job(tmp_path: Path) -> None:
    snakefile = """
import inspect
from collections import Counter
looked_at, signature = Counter(), inspect.signature
def counting(function, *arguments, **named):
    looked_at[getattr(function, "__name__", "")] += 1
    return signature(function, *arguments, **named)
inspect.signature = counting
def needed(wildcards):
    return []
if config["mend"]:
    private.mend_snakemake()
rule all:
    input: expand("{i}", i=range(20))
rule one:
    input: needed
    output: "{i}"
    shell: "touch {output}"
"""
    code = "with plan(Path(%r).absolute()) as workflow:\n    say(workflow.globals['looked_at']['needed'])"
    (tmp_path / "mended.json").write_text('{"mend": true}')
    (tmp_path / "itself.json").write_text('{"mend": false}')
    assert asked(tmp_path, code % "mended.json", snakefile) == 1
    assert asked(tmp_path, code % "itself.json") >= 20


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
from foxnas.flow import snakemake_private as private
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


#: Two jobs that would run side by side, and write down when they begin and end.
SIDE_BY_SIDE = """
say(overwritten={rule: sorted(given) for rule, given in private.overwritten_resources(workflow).items()})
rule all:
    input: "a", "b"
rule one:
    output: "{i}"
    wildcard_constraints: i="[ab]"
    threads: lambda wildcards: 2 - private.runs_here(workflow)
    shell: "echo begin >> order; sleep 2; echo end >> order; touch {output}"
if "lane" in config:
    private.limit_resources(workflow, {"lane": config["lane"]})
    for name, resources in private.resources_of_rules(workflow).items():
        say(rule=name, has_lane="lane" in resources)
        resources["lane"] = 1
if "here" in config:
    private.keep_here(workflow, ["one"])
"""


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


def test_jobs_are_planned_for_this_machine_or_a_cluster_and_some_are_kept_here(tmp_path: Path) -> None:
    """`planned`, `runs_here` (as threads) and `keep_here`. By itself a cluster's job is not local."""
    found = "(job.rule.name, job.is_local, job.threads, job.resources.get('gpu'))"
    code = f"with plan({{}}) as workflow:\n    say(sorted({found} for job in private.reasons(workflow)))"
    (tmp_path / "here.json").write_text('{"here": true}')
    on_cluster = "executor='slurm', overwritten={'one': {'gpu': '3'}}"
    assert asked(tmp_path, code.format(""), SIDE_BY_SIDE)[1:] == [["one", True, 1, None]] * 2
    assert asked(tmp_path, code.format(on_cluster))[1:] == [["one", False, 2, 3]] * 2
    assert asked(tmp_path, code.format(f"Path('here.json').absolute(), {on_cluster}"))[1:] == [["one", True, 2, 3]] * 2


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


#: Two shards and a page of them; the second shard breaks at first, its retry does not. At the end all is said.
ENDING = """
from dataclasses import asdict
rule all:
    input: "page"
rule shard:
    output: table="{i}.txt", folder=directory("{i}.folder"), several=["{i}.1", "{i}.2"]
    log: "{i}.log"
    benchmark: "{i}.tsv"
    retries: 1
    shell: "mkdir {output.folder}; touch {output.table} {output.several}; sleep 0.2;"
        " [ {wildcards.i} = 0 ] || [ -e mended ] || { touch mended; [ -e fragile ] && exit 1; }"
rule page:
    input: "0.txt", "1.txt"
    output: "page"
    shell: "sleep 0.2; [ ! -e broken ]; touch {output}"
def end(how):
    private.logger.info(f"the run has {how}")
    say(how=how, touched=private.only_touches(workflow), started=private.started(workflow).isoformat(),
        jobs=[asdict(job) for job in private.jobs_of(workflow)],
        failed=[str(job) for job in private.failed_jobs(workflow)], counts=private.done_and_wanted(workflow))
onsuccess: end("succeeded")
onerror: end("failed")
""".replace("{ touch mended; [ -e fragile ] && exit 1; }", "{{ touch mended; [ ! -e fragile ]; }}")


def test_at_the_end_the_dag_says_what_ran_failed_and_was_reused(tmp_path: Path) -> None:
    """A job that a retry made good has not failed. What Snakemake records stands in for a benchmark that is away."""
    (tmp_path / "fragile").touch()
    (tmp_path / "broken").touch()
    before = datetime.now()
    text = snakemake(tmp_path, snakefile=ENDING, check=False)
    (said,) = facts(tmp_path)
    assert (said["how"], said["failed"], said["counts"], said["touched"]) == ("failed", ["page"], [2, 3], False)
    assert before < datetime.fromisoformat(said["started"]) < datetime.now()
    assert "Trying to restart job" in text, "the second shard failed once"
    assert "the run has failed" in text
    (log,) = (tmp_path / ".snakemake" / "log").glob("*.log")
    assert "the run has failed" in log.read_text()
    (tmp_path / "broken").unlink()
    (tmp_path / "1.txt").unlink()
    snakemake(tmp_path)
    (said,) = facts(tmp_path)
    assert (said["how"], said["failed"], said["counts"]) == ("succeeded", [], [2, 2])
    *shards, page = said["jobs"]
    first, second = sorted(shards, key=lambda job: job["wildcards"]["i"])
    assert [job["rule"] for job in (first, second, page)] == ["shard", "shard", "page"]
    assert [job["made"] for job in (first, second, page)] == [False, True, True]
    assert second["output"] == {"table": "1.txt", "folder": "1.folder"}, "those with names of their own"
    assert (second["wildcards"], second["log"], second["stage"]) == ({"i": "1"}, "1.log", "Snakefile")
    assert second["seconds"] == float((tmp_path / "1.tsv").read_text().splitlines()[1].split()[0])
    assert (first["seconds"], first["stored"], page["log"]) == (None, {}, None)
    assert page["seconds"] >= 0.2, "as recorded: it has no benchmark"
    snakemake(tmp_path, "--touch", "--forceall")
    (said,) = facts(tmp_path)
    assert said["touched"]


#: The rule `a` has a journal, which the workflow does not declare; `b` has none.
JOURNALS = """
rule all:
    input: "a", "b"
rule a:
    output: "a"
    params: journal="a.jsonl"
    shell: "touch {output} {params.journal}; [ ! -e broken ]"
rule b:
    output: "b"
    params: other="b.jsonl"
    shell: "touch {output} {params.other}"
onstart: say(found=private.finished_journals(workflow))
onsuccess: say(found=private.finished_journals(workflow))
onerror: say(found=private.finished_journals(workflow))
"""


def test_journals_of_finished_jobs_are_known_when_a_run_starts_and_ends(tmp_path: Path) -> None:
    """A job that failed is none of them, one that is forced is still; what is no param `journal` is no journal."""

    def found(*words: str, check: bool = True) -> list[list[str]]:
        snakemake(tmp_path, "--keep-going", *words, check=check)
        return [said["found"] for said in facts(tmp_path)]

    (tmp_path / "broken").touch()
    (tmp_path / "Snakefile").write_text(HEAD + JOURNALS)
    assert found(check=False) == [[], []]
    (tmp_path / "broken").unlink()
    assert found() == [[], ["a.jsonl"]]
    assert found("--forcerun", "a") == [["a.jsonl"], ["a.jsonl"]]
    (tmp_path / "a").unlink()
    assert found() == [[], ["a.jsonl"]], "lost before the run, and made in it"


def test_failed_jobs_of_a_group_come_one_by_one(tmp_path: Path) -> None:
    code = """
from types import SimpleNamespace
from snakemake.jobs import GroupJob
with plan() as workflow:
    jobs = [job for job in private.reasons(workflow) if job.output]
    group = GroupJob("together", frozenset(jobs), {"_cores": 2, "_nodes": 1})
    view = SimpleNamespace(dag=workflow.dag, scheduler=SimpleNamespace(failed={group}))
    say(sorted(map(str, private.failed_jobs(view))))
"""
    assert asked(tmp_path, code, ENDING) == ["page", "shard 0", "shard 1"]


def test_files_in_a_storage_are_fetched_for_the_summary_and_removed_again(tmp_path: Path) -> None:
    """By itself Snakemake removes its local copies before it calls `onsuccess`."""
    snakefile = """
rule a:
    output: value="a.txt"
    shell: "echo 42 > {output}"
onsuccess:
    from pathlib import Path
    (job,) = private.jobs_of(workflow)
    copy = Path(job.output["value"])
    say(here=copy.exists())
    with private.at_hand(workflow, {"a": "value", "b": "nothing"}):
        say(text=copy.read_text(), place=job.place("value"))
    say(here=copy.exists())
"""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY": "key", "SECRET_KEY": "secret"}
    try:
        snakemake(
            tmp_path, "--default-storage-provider", "s3", "--default-storage-prefix", "s3://lab/nas",
            snakefile=snakefile, **{f"SNAKEMAKE_STORAGE_S3_{name}": value for name, value in settings.items()},
        )  # fmt: skip
    finally:
        server.stop()
    there = {"text": "42\n", "place": "s3://lab/nas/a.txt"}
    assert facts(tmp_path) == [{"here": False}, there, {"here": False}]


def test_jobs_that_are_pretended_count_as_run_with_their_params_and_checksums(tmp_path: Path) -> None:
    """By itself a plan records nothing: without it all would run."""
    code = """
with plan(Path("config.json").absolute(), targets=frozenset(["c"])) as workflow:
    made = []
    def write(path, is_folder):
        made.append([str(path), is_folder])
        path.write_text("made")
    private.pretend_finished(workflow, private.reasons(workflow), write)
    say(made)
"""
    (tmp_path / "config.json").write_text(json.dumps({"mend": True, **dict.fromkeys(("of_a", "of_b", "of_c"), "old")}))
    (tmp_path / "Snakefile").write_text(HEAD + ANCIENT.replace('ancient("a")', '"a"'))
    assert asked(tmp_path, code) == [["a", False], ["b", False], ["c", False]], "in the order of the DAG"
    assert "Nothing to be done" in snakemake(tmp_path, *values())
    assert planned_rules(snakemake(tmp_path, "--dry-run", *values("c"))) == {"c"}
    reasons = "with plan(Path('config.json').absolute(), targets=frozenset(['c'])) as workflow:\n    say({})".format(
        "{job.rule.name: why for job, why in private.reasons(workflow).items()}"
    )
    assert asked(tmp_path, reasons) == dict.fromkeys("abc")
    (tmp_path / "a").touch()
    assert "Nothing to be done" in snakemake(tmp_path, *values()), "a is newer, but the same"
    (tmp_path / "b").write_text("edited")
    assert planned_rules(snakemake(tmp_path, "--dry-run", *values())) == {"c"}
    assert asked(tmp_path, reasons) == {"a": None, "b": None, "c": "Updated input files: b"}
    found = {output.name: (record["rule"], path.exists()) for output, path, record in private.records(tmp_path)}
    assert found == {name: (name, True) for name in "abc"}
