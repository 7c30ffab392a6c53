"""Files that are gone while later ones are still there, of which Snakemake asks only if a running job needs them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.small_workflows import facts, planned_rules, snakemake

#: Two measurements of a sample, and a verdict on each. The second can break, or take its run with it.
MEASURED = """
if config["mend"]:
    mends.mend_snakemake()
if config.get("slow"):
    import time
    from snakemake_interface_executor_plugins.executors.real import RealExecutor
    next_step = RealExecutor.report_job_submission
    def slowly(*words, **named):
        time.sleep(3)
        next_step(*words, **named)
    RealExecutor.report_job_submission = slowly
rule all:
    input: "page", "1.verdict", "2.verdict"
rule judge:
    input: "{i}.table"
    output: "{i}.verdict"
    shell: "cp {input} {output}"
rule measure:
    input: ancient("sample")
    output: "{i}.table"
    wildcard_constraints: i="[12]"
    params: settings=config["settings"], journal="{i}.journal"
    shell: "touch {params.journal}; [ ! -e broken{wildcards.i} ]; [ ! -e killed{wildcards.i} ] || kill -9 $PPID $$;"
        " echo {params.settings} > {output}"
rule sample:
    output: "sample", temp("scratch")
    params: settings="1"
    shell: "touch {output}"
rule publish:
    input: "of-others"
    output: "page"
    params: settings="1"
    shell: "touch {output}"
rule other:
    output: "of-others"
    shell: "touch {output}"
onstart: say(journals=private.finished_journals(workflow))
onsuccess: say(journals=private.finished_journals(workflow))
"""


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    ("accident", "settings"),
    [("broken", "new"), ("broken", "old"), ("killed", "old"), ("killed at once", "old")],
)
def test_the_same_command_makes_what_an_earlier_try_lost(
    tmp_path: Path, accident: str, settings: str, recorded: bool
) -> None:
    """Snakemake deletes a job's files first, records its new params when it fails, and by itself then misses nothing.

    The older results are there with its records or without, after `rm -rf .snakemake`. Snakemake marks a job as begun
    only after it has started it: one that is killed in between was never known.
    """
    accident, _, slow = accident.partition(" ")
    command = ["--nolock", "--keep-going", "--config"]  # a kill leaves a lock
    snakemake(tmp_path, *command, "mend=True", "settings=old", snakefile=MEASURED)
    if not recorded:
        shutil.rmtree(tmp_path / ".snakemake")
    broken = tmp_path / f"{accident}2"
    broken.touch()
    anew = [f"settings={settings}", *["slow=True"] * bool(slow), "--forcerun", "2.table"]
    snakemake(tmp_path, *command, "mend=True", *anew, check=False)
    broken.unlink()
    assert not (tmp_path / "2.table").exists()
    facts(tmp_path)
    now = [*command, f"settings={settings}"]
    itself = snakemake(tmp_path, "--dry-run", *now, "mend=False")
    assert "Nothing to be done" in itself
    if recorded:
        snakemake(tmp_path, "--touch", *now, "mend=True")
        assert facts(tmp_path) == [{"journals": ["1.journal"]}] * 2, "touching makes no file"
    text = snakemake(tmp_path, *now, "mend=True")
    assert "reason: Missing output files: 2.table" in text
    assert planned_rules(text) == {"all", "measure", "judge"}
    assert text.count("rule measure:") == 1
    started, ended = facts(tmp_path)
    assert started == {"journals": ["1.journal"]}, "the lost one continues"
    assert sorted(ended["journals"]) == ["1.journal", "2.journal"]
    assert (tmp_path / "2.table").read_text() == f"{settings}\n"
    assert (tmp_path / "2.verdict").read_text() == f"{settings}\n"
    assert "Nothing to be done" in snakemake(tmp_path, *now, "mend=True")


@pytest.mark.parametrize(
    ("deleted", "mended", "itself"),
    [
        ("1.table", {"all", "measure", "judge"}, set()),
        ("sample", {"sample"}, set()),
        ("of-others", set(), set()),
        ("page", {"all", "publish"}, {"all", "publish"}),
        ("1.verdict", {"all", "judge"}, {"all", "judge"}),
    ],
)
def test_a_deleted_file_is_made_again_and_nothing_that_takes_it_as_ancient(
    tmp_path: Path, deleted: str, mended: set[str], itself: set[str]
) -> None:
    """A temporary file may be gone, and so may what is made by rules that are not this workflow's."""
    snakemake(tmp_path, "--config", "mend=True", "settings=1", snakefile=MEASURED)
    assert not (tmp_path / "scratch").exists()
    assert "Nothing to be done" in snakemake(tmp_path, "--config", "mend=True", "settings=1")
    (tmp_path / deleted).unlink()
    for mend, expected in ((False, itself), (True, mended)):
        words = ["--config", f"mend={mend}", "settings=1"]
        assert planned_rules(snakemake(tmp_path, "--dry-run", *words)) == expected
    snakemake(tmp_path, *words)
    assert "Nothing to be done" in snakemake(tmp_path, *words)


def test_what_touching_does_not_find_was_never_made_and_is_not_gone(tmp_path: Path) -> None:
    """Results of an earlier version are accepted without the files that it did not know."""
    words = ["--config", "mend=True", "settings=1"]
    snakemake(tmp_path, *words, snakefile=MEASURED)
    shutil.rmtree(tmp_path / ".snakemake")
    (tmp_path / "1.table").unlink()
    for _ in range(2):
        snakemake(tmp_path, "--touch", "--forceall", *words)
        assert "Nothing to be done" in snakemake(tmp_path, *words)
    snakemake(tmp_path, *words, "--forcerun", "1.table")
    (tmp_path / "1.table").unlink()
    assert planned_rules(snakemake(tmp_path, "--dry-run", *words)) == {"all", "measure", "judge"}


def test_an_ancient_file_that_a_running_job_needs_runs_no_other_job(tmp_path: Path) -> None:
    """By itself, Snakemake takes it for changed where it is missing, and measures everything again."""
    words = ["--config", "mend=True", "settings=1"]
    snakemake(tmp_path, *words, snakefile=MEASURED)
    (tmp_path / "sample").unlink()
    forced = ["--dry-run", "--forcerun", "2.table"]
    assert snakemake(tmp_path, *forced, *words).count("rule measure:") == 1
    assert snakemake(tmp_path, *forced, "--config", "mend=False", "settings=1").count("rule measure:") == 2


def test_what_a_storage_lost_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server.start()
    host, port = server.get_host_and_port()
    there = f"http://{host}:{port}"
    for name, value in {"ENDPOINT_URL": there, "ACCESS_KEY": "key", "SECRET_KEY": "secret"}.items():
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name}", value)
    words = ["--default-storage-provider", "s3", "--default-storage-prefix", "s3://lab/nas", "--config", "settings=1"]
    try:
        snakemake(tmp_path, *words, "mend=True", snakefile=MEASURED)
        assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", *words, "mend=True")
        store = boto3.resource("s3", endpoint_url=there, aws_access_key_id="key", aws_secret_access_key="secret")
        store.Object("lab", "nas/1.table").delete()
        assert not planned_rules(snakemake(tmp_path, "--dry-run", *words, "mend=False"))
        planned = planned_rules(snakemake(tmp_path, "--dry-run", *words, "mend=True"))
        assert planned == {"all", "measure", "judge"}
    finally:
        server.stop()
