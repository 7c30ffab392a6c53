"""What a run knows at its end, which Snakemake does not document; see test_snakemake_private.py."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from moto.server import ThreadedMotoServer

from tests.support.small_workflows import HEAD, asked, facts, snakemake

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


#: A run that looks for jobs again a minute after each.
TIMED = """
import threading
if config["mend"]:
    mends.mend_snakemake()
rule one:
    output: "one"
    shell: "touch {output}"
onsuccess: say(waits=[not one.daemon for one in threading.enumerate() if isinstance(one, threading.Timer)])
"""


def test_a_run_that_is_done_waits_for_no_timer(tmp_path: Path) -> None:
    for mend in (False, True):
        words = ["--max-jobs-per-timespan", "100/1m", "--forceall", "--config", f"mend={mend}"]
        snakemake(tmp_path, *words, snakefile=TIMED)
        (said,) = facts(tmp_path)
        assert set(said["waits"]) == {not mend}


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
    jobs = [job for job in plans.reasons(workflow) if job.output]
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
