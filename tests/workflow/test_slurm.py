"""The workflow on a real Slurm of one node: a job is cancelled in the middle, and the end is that of a local run.

What rules call is a fork that the process which Slurm started waits for (see `forked_jobs`), but for the job that is
cancelled. Such a fork is no descendant of its run, and does not look after it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support import forked_python, intact
from tests.support.configs import written_out
from tests.support.journals import reinstate
from tests.support.slurm import Slurm, SlurmJob
from tests.support.tiny_run import QUICK, ROOT, snakemake

#: Which jobs go together here: fewer jobs than in the profile, since each starts Snakemake twice.
TOGETHER = {
    "prepare": (
        "take_checkpoint", "sample_subnets", "split_images", "resize_images", "resize_test_images",
    ),
    "decide": (
        "gather_accuracy", "fit_accuracy", "gather_latency", "fit_latency", "resolve_budget", "search_architectures",
        "export_candidates",
    ),
    "deploy": ("deploy_winner", "validate_accuracy"),
    "report": ("judge_model", "write_card", "compare_baselines", "write_report"),
}  # fmt: skip

#: A cluster of this machine's size, whose jobs take seconds: nothing else differs from the profile as it is shipped.
HERE = [
    "--workflow-profile", str(ROOT / "profiles" / "slurm"), "--cores", "2", "--resources", "mem_mb=7000",
    "--slurm-status-command", "squeue", "--latency-wait", "20",
    "--groups", *(f"{rule}={group}" for group, rules in TOGETHER.items() for rule in rules),
    "--group-components", "prepare=10",
]  # fmt: skip

MEASURING = (
    "time_subnets", "time_found", "time_candidates", "confirm_together", "confirm_latency", "validate_on_device",
    "time_sustained",
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's config, at one image size, with fewer images and candidates."""
    raw = written_out("tiny")
    raw["space"]["image_sizes"] = [16]
    raw["data"] |= {"scene": None, "splits": {"train": 1000, "fit": 300, "verify": 300, "test": 300}}
    raw["accuracy"] |= {"recalibration_images": 64, "batch_size": 256}
    raw["devices"][0]["protocol"] |= QUICK
    raw["predictors"] |= {"accuracy_form": "paper", "further_targets": []}
    # Such timings are noise; a budget that any machine keeps, however busy.
    raw["budgets"] = [2]
    raw["search"] |= {"candidates": 1, "reserves_percent": [50]}
    raw["refinement"]["twists"] = 0
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with Slurm(tmp_path_factory.mktemp("cluster") / "slurm").running() as slurm:
        yield slurm


@dataclass(frozen=True)
class Submission:
    """The workflow, started; what it says is in a file."""

    process: forked_python.Started
    ended: Future[int]

    def kill(self) -> None:
        """End it, if it runs still."""
        if not self.ended.done():
            os.killpg(self.process.pid, signal.SIGKILL)


def submit(cluster: Slurm, folder: Path, config: Path, *words: str) -> Submission:
    """Start the workflow; what it says goes to `folder`/../said."""
    folder.mkdir(exist_ok=True)
    command = [
        "-m", "tests.support.prompt_slurm", "--snakefile", str(ROOT / "Snakefile"),
        "--configfile", str(config), "--directory", str(folder), *words, *HERE,
    ]  # fmt: skip
    environment = {**os.environ, **cluster.environment, "NOT_FORKED": "evaluate_subnets"}
    process = forked_python.start(command, ROOT, environment, jobs=True)

    def follow() -> int:
        with said(folder).open("wb", buffering=0) as output:
            shutil.copyfileobj(process.stdout, output)
        return process.wait()

    return Submission(process, ThreadPoolExecutor(1).submit(follow))


def said(folder: Path) -> Path:
    return folder.parent / "said.txt"


def finish(submission: Submission, folder: Path) -> str:
    """Wait until it ended well, and return what it said."""
    try:
        code = submission.ended.result(timeout=900)
    finally:
        submission.kill()
    text = said(folder).read_text()
    assert code == 0, text[-6000:]
    return text


def at_work(submission: Submission, cluster: Slurm, folder: Path, rule: str, log: Path) -> SlurmJob:
    """Wait until Slurm runs a job of this rule, and the job has written to its log."""
    while not submission.ended.done():
        for job in cluster.jobs():
            if job.state == "RUNNING" and job.comment.startswith(f"rule_{rule}") and log.exists() and log.read_text():
                return job
        time.sleep(0.2)
    raise AssertionError(said(folder).read_text()[-6000:])


@pytest.fixture(scope="module")
def run(cluster: Slurm, config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run through Slurm, of which a job was cancelled while it evaluated subnets."""
    folder = tmp_path_factory.mktemp("slurm-run") / "run"
    submission = submit(
        cluster, folder, config,
        "--set-resources", "evaluate_subnets:gpu=1", "evaluate_subnets:slurm_partition=gpu",
    )  # fmt: skip
    try:
        log = folder / "results" / "logs" / "mini" / "16" / "evaluate_subnets" / "0.log"
        job = at_work(submission, cluster, folder, "evaluate_subnets", log)
        cluster.ask("scancel", str(job.number))
    except BaseException:
        submission.kill()
        raise
    return folder, finish(submission, folder)


def test_a_cancelled_job_is_tried_again_with_more_memory_and_its_gpu(cluster: Slurm, run: tuple[Path, str]) -> None:
    folder, text = run
    first, second = (job for job in cluster.jobs() if job.comment.startswith("rule_evaluate_subnets"))
    assert first.state == "CANCELLED"
    assert "Trying to restart job" in text
    assert second.state == "COMPLETED"
    assert second.mem_mb == 2 * first.mem_mb
    assert first.partition == second.partition == "gpu"
    assert all("gres:gpu:1" in job.request for job in (first, second))
    # Slurm's own words on the job that failed, and on no other.
    kept = list((folder / "results" / "logs" / "slurm").rglob("*.log"))
    assert [path.name for path in kept] == [f"{first.number}.log"]
    assert "CANCELLED" in kept[0].read_text()


def test_small_jobs_were_sent_together(cluster: Slurm, run: tuple[Path, str]) -> None:
    """Four groups, what was cancelled, and the ranking between two measurements."""
    folder, text = run
    sent = [job.comment.strip() for job in cluster.jobs() if job.state == "COMPLETED"]
    assert len(sent) == 6
    together = set(re.findall(r"Group job (\w+) ", text))
    assert together == set(TOGETHER)
    for rules in TOGETHER.values():
        assert all(f"(Rule: {rule})" in text for rule in rules)
    assert (folder / "results" / "report.html").exists()


def test_measurements_run_on_the_submitting_host_one_at_a_time_and_alone(cluster: Slurm, run: tuple[Path, str]) -> None:
    """Read off both sides: Slurm's start and end of every job, and Snakemake's of the measurements."""
    _, text = run
    measured = intervals(text)
    assert len(measured) == 4  # the sample, the candidates, the winner together with others, and what it lacks
    for number, (start, end) in enumerate(measured):
        assert not any(start < later_end and later_start < end for later_start, later_end in measured[number + 1 :])
    jobs = cluster.jobs()
    assert len(jobs) > 4
    for job in jobs:
        assert not any(rule in job.comment for rule in MEASURING)
        assert not any(start < job.end and job.start < end for start, end in measured), job


def intervals(text: str) -> list[tuple[float, float]]:
    """When each measurement began and ended, as Snakemake says: a little more than it took."""
    found, began = [], {}
    for stamp, started, finished in re.findall(
        r"\[(\w{3} \w{3}\s+\d+ [\d:]+ \d{4})\]\n(?:Job (\d+): (?:Timing|Confirming the latency)|Finished jobid: (\d+))",
        text,
    ):
        moment = time.mktime(time.strptime(stamp))
        if started:
            began[started] = moment
        elif finished in began:
            found.append((began.pop(finished), moment))
    assert not began
    return found


def test_the_artefacts_are_those_of_a_local_run(run: tuple[Path, str], config: Path, tmp_path: Path) -> None:
    """Byte for byte, given the same timings of the sampled subnets: those are copied, all else is made here.

    But for the seconds that evaluations took, which are columns of their own.
    """
    folder, _ = run
    journals = Path("results") / "mini" / "16" / "journals"
    shutil.copytree(folder / journals, tmp_path / journals)
    assert reinstate(tmp_path / journals) == 2
    search = Path("results") / "mini" / "search" / "local" / "2ms"
    snakemake(tmp_path, "results/mini/16/shards/subnets/0.csv", str(search / "round-1" / "exported.csv"), config=config)
    made = sorted(
        path.relative_to(tmp_path)
        for path in (tmp_path / "results").rglob("*")
        if path.is_file() and not {"logs", "benchmarks", "journals"} & set(path.parts)
    )
    different = [str(path) for path in made if intact.untimed(folder / path) != intact.untimed(tmp_path / path)]
    assert different == []
    assert len(made) > 20


def test_the_same_command_again_has_nothing_to_do(cluster: Slurm, run: tuple[Path, str], config: Path) -> None:
    folder, _ = run
    before = len(cluster.jobs())
    assert "Nothing to be done" in finish(submit(cluster, folder, config), folder)
    assert len(cluster.jobs()) == before


def test_a_measurement_sent_to_a_named_node_runs_there_and_alone(
    cluster: Slurm, run: tuple[Path, str], config: Path
) -> None:
    """What else is to be done meanwhile waits, though the node has room for it."""
    folder, _ = run
    before = {job.number for job in cluster.jobs()}
    node = cluster.ask("sinfo", "--noheader", "--format=%n").strip()
    everywhere = (
        *MEASURING,
        "time_sustained",
        "time_named",
        "time_compiled",
        "time_compiled_found",
        "time_compiled_candidates",
    )
    there = [
        f"{rule}:slurm_extra='--nodelist={node}'"
        for rule in (*everywhere, "time_compiled_named", "confirm_compiled_together", "confirm_compiled_latency")
    ]
    targets = ["results/mini/16/shards/latency-local/0.csv", "results/data/16/test-images.npy"]
    words = [*targets, "--forcerun", "time_subnets", "resize_test_images", "--set-resources", *there]
    text = finish(submit(cluster, folder, config, *words), folder)
    sent = sorted((job for job in cluster.jobs() if job.number not in before), key=lambda job: "time" in job.comment)
    assert len(sent) == 2, text
    other, timed = sent
    assert timed.comment.startswith("rule_time_subnets")
    assert f"ReqNodeList={node}" in timed.request
    assert timed.state == other.state == "COMPLETED"
    assert timed.end <= other.start or other.end <= timed.start


def test_nothing_of_the_cluster_listens_beyond_loopback(cluster: Slurm) -> None:
    assert cluster.listening() == {"127.0.0.1"}
