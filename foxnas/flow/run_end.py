"""The end of a run, as the workflow's `onsuccess` and `onerror` see it: Snakemake's jobs in, a summary out.

All that is read of Snakemake's own state is read here; the versions that have it are pinned, and the tests hold it.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from foxnas.files.tables import replacing
from foxnas.flow.summary import Job, failure, summary

#: Where the last summary is kept, whole.
SUMMARY = Path("results/logs/summary.txt")

#: What a summary reads whole, by rule.
READ = {"judge_model": "validation", "export_candidates": "table"}

#: Deployed models on the terminal.
MODELS_SHOWN = 20


def succeeded(workflow: Any) -> None:
    """Say what a finished run did, on the terminal and in `SUMMARY`."""
    _say(workflow, _success)


def failed(workflow: Any) -> None:
    """Say what stopped a run, and how to go on."""
    _say(workflow, _failure)


def _say(workflow: Any, what: Any) -> None:
    if workflow.touch:  # --touch ran nothing
        return
    try:
        what(workflow)
    except Exception as error:  # whatever is wrong with the summary, the run itself is what it is
        logger.warning(f"no summary of this run: {type(error).__name__}: {error}")


def _success(workflow: Any) -> None:
    jobs = list(jobs_of(workflow))
    began = workflow.start_time.astimezone(UTC).isoformat(timespec="seconds")
    wall_s = (datetime.now() - workflow.start_time).total_seconds()
    with _at_hand(workflow):
        whole, short = (summary(jobs, wall_s, began, at_most, str(SUMMARY)) for at_most in (None, MODELS_SHOWN))
    logger.info(f"\n{short}\n")
    with replacing(SUMMARY) as temporary:
        temporary.write_text(whole + "\n")


def _failure(workflow: Any) -> None:
    dag = workflow.dag
    wanted = [job for job in dag.needrun_jobs(exclude_finished=False) if job.output]
    lost = [job for job in _flat(workflow.scheduler.failed) if not dag.finished(job)]
    text = failure(
        [_described(workflow, job) for job in lost],
        sum(dag.finished(job) for job in wanted),
        len(wanted),
        (datetime.now() - workflow.start_time).total_seconds(),
        command_line(sys.argv),
    )
    logger.error(f"\n{text}\n")


def jobs_of(workflow: Any) -> Iterator[Job]:
    """Yield every job of the run that makes something, in the order in which the rules stand."""
    place = {rule.name: number for number, rule in enumerate(workflow.rules)}
    for job in sorted(workflow.dag.jobs, key=lambda job: place[job.rule.name]):
        if job.output:
            yield _described(workflow, job)


def _described(workflow: Any, job: Any) -> Job:
    made = workflow.dag.needrun(job) and workflow.dag.finished(job)
    single: dict[str, Any] = {name: path for name, path in job.output.items() if isinstance(path, str)}
    return Job(
        rule=job.rule.name,
        stage=Path(str(job.rule.snakefile)).stem,
        made=made,
        wildcards={name: str(value) for name, value in job.wildcards.items()},
        output={name: str(path) for name, path in single.items()},
        stored={name: str(path.storage_object.query) for name, path in single.items() if path.is_storage},
        log=str(job.log[0]) if job.log else None,
        seconds=_seconds(workflow, job) if made else None,
    )


@contextlib.contextmanager
def _at_hand(workflow: Any) -> Iterator[None]:
    """Have the few files that a summary reads here, also those that went into a storage."""
    paths = [job.output.get(READ[job.rule.name]) for job in workflow.dag.jobs if job.rule.name in READ]
    away = [path for path in paths if path is not None and path.is_storage and not Path(path).exists()]

    async def fetch() -> None:
        for path in away:
            await path.storage_object.managed_retrieve()

    async def forget() -> None:
        for path in away:
            await path.remove(only_local=True)

    workflow.async_run(fetch())
    try:
        yield
    finally:
        workflow.async_run(forget())


def _flat(jobs: Iterable[Any]) -> Iterator[Any]:
    """Yield the jobs of groups one by one."""
    for job in jobs:
        yield from job if job.is_group() else [job]


def _seconds(workflow: Any, job: Any) -> float | None:
    """Return a job's wall time: its benchmark's, else, where that went into a storage, what Snakemake recorded."""
    try:
        return float(Path(str(job.benchmark)).read_text().splitlines()[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        record = workflow.persistence.metadata(job.output[0])
    if record is None or not record.starttime or not record.endtime:
        return None
    return max(record.endtime - record.starttime, 0.0)


def command_line(words: list[str]) -> str:
    """Return what was typed to start this run."""
    program = Path(words[0])
    start = ["python", "-m", "snakemake"] if program.name == "__main__.py" else [program.name]
    return shlex.join([*start, *words[1:]])
