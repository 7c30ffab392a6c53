"""A finished job's journal is put aside; an interrupted one's stays: on a small workflow, by Snakemake itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foxnas.files.journal import Journal, retire
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]

#: Each shard adds what it lacks of three lines to its journal, and copies it; the second one may break half way.
SNAKEFILE = """
import sys
sys.path.insert(0, "ROOT")
from foxnas.flow import retirement

rule all:
    input: "0.txt", "1.txt", "summary"

rule shard:
    output: table="{shard}.txt", session="{shard}.session"
    params: journal="journals/{shard}.jsonl"
    shell:
        "mkdir -p journals; touch {params.journal}; echo $$ > {output.session}; for i in 1 2 3; do "
        "[ $(wc -l < {params.journal}) -ge $i ] || echo $RANDOM$RANDOM >> {params.journal}; "
        "[ $i$(ls broken-{wildcards.shard} 2>/dev/null) = 2broken-{wildcards.shard} ] && exit 1; done; "
        "cp {params.journal} {output.table}; if [ -e killed-{wildcards.shard} ]; then kill -9 0; fi"

rule summary:
    input: "0.txt", "1.txt"
    output: "summary"
    shell: "cat {input} > {output}"

onstart: retirement.retire_journals(workflow)
onsuccess: retirement.retire_journals(workflow)
onerror: retirement.retire_journals(workflow)
""".replace("ROOT", str(ROOT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def snakemake(folder: Path, *words: str, check: bool = True) -> dict[str, list[str]]:
    """Run it; return the lines of each table that is there."""
    done = python(["-m", "snakemake", "--cores", "1", "--rerun-incomplete", "--keep-going", *words], folder)
    assert not check or done.returncode == 0, done.stderr
    return {path.stem: path.read_text().split() for path in sorted(folder.glob("?.txt"))}


def journals(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "journals").iterdir())


def test_forced_or_deleted_means_measured_and_nothing_else_is(folder: Path) -> None:
    first = snakemake(folder)
    assert journals(folder) == ["0.finished.jsonl", "1.finished.jsonl"]
    forced = snakemake(folder, "--forcerun", "0.txt")
    assert not set(forced["0"]) & set(first["0"])
    assert forced["1"] == first["1"]
    (folder / "1.txt").unlink()
    lost = snakemake(folder)
    assert lost["0"] == forced["0"]
    assert not set(lost["1"]) & set(first["1"])
    snakemake(folder, "--delete-all-output")
    anew = snakemake(folder)
    assert not {line for lines in anew.values() for line in lines} & {*lost["0"], *lost["1"]}


def test_an_interrupted_job_resumes_also_beside_finished_ones_and_when_forced(folder: Path) -> None:
    (folder / "broken-1").touch()
    first = snakemake(folder, check=False)
    assert list(first) == ["0"]
    assert journals(folder) == ["0.finished.jsonl", "1.jsonl"]
    half = (folder / "journals" / "1.jsonl").read_text().split()
    assert len(half) == 2
    (folder / "broken-1").unlink()
    again = snakemake(folder, "--forcerun", "shard")
    assert again["1"][:2] == half, "its measurements are of no finished job"
    assert not set(again["0"]) & set(first["0"])


def test_a_journal_that_an_older_version_left_is_put_aside_when_a_run_starts_or_touches(folder: Path) -> None:
    first = snakemake(folder)
    for words in (("--forcerun", "shard"), ("--touch", "--forceall")):
        for path in (folder / "journals").iterdir():
            path.rename(path.with_name(path.name.replace(".finished", "")))
        after = snakemake(folder, *words)
        assert journals(folder) == ["0.finished.jsonl", "1.finished.jsonl"]
        assert (set(after["0"]) & set(first["0"]) == set()) == ("shard" in words) or words[0] == "--touch"
        first = after


def test_what_a_killed_job_left_half_written_is_no_finished_job(folder: Path) -> None:
    """Its files are there, and marked incomplete: killed with its Snakemake after it wrote them."""
    (folder / "broken-1").touch()
    snakemake(folder, check=False)
    (folder / "broken-1").unlink()
    (folder / "killed-1").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete"],
        cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    process.wait()
    assert process.returncode == -9
    before = (folder / "1.txt").read_text().split()
    (folder / "killed-1").unlink()
    snakemake(folder, "--unlock")
    assert snakemake(folder)["1"] == before


def test_a_retired_journal_keeps_the_last_measurements_and_is_believed_by_no_one(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    for value in (1, 2):
        with Journal(path, {"a": "b"}) as book:
            assert book.records == []
            book.append({"value": value})
        retire(path)
    with Journal(tmp_path / "0.finished.jsonl", {"a": "b"}) as book:
        assert book.records == [{"value": 2}]
