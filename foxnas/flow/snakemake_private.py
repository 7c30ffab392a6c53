"""All that this workflow asks Snakemake (9.27.1) and that Snakemake does not document, each with the reason.

What it mends of Snakemake stands in `snakemake_mends`. To upgrade Snakemake, open the two and
tests/flow/test_snakemake_*.py, which hold Snakemake to every use; what tests and benchmarks use besides is in
tests/support/plans.py, held by tests/flow/test_plans.py.
Documented at https://snakemake.readthedocs.io, and so used anywhere: the directives, what Snakemake hands to functions
of rules (`wildcards`, `output`, `attempt`), `ancient` and `local` of `snakemake.io`, `snakemake.utils.min_version`.
Three uses stand elsewhere. Two find this package in the first place: `workflow.current_basedir` in both Snakefiles, and
the clone of a hosted workflow in workflow/Snakefile, which tests/workflow/test_ecosystem.py holds. Both Snakefiles also
ask `workflow.overwrite_configfiles` whether a file was named, which tests/workflow/test_layers.py holds.

Why the end of a run is read from the DAG and not by a logger plugin, which is documented: only `--logger`, on the
command line or in a profile, and a package installed beside Snakemake bring a plugin in, before the Snakefile is read.
Its records tell nothing of reused jobs, of names of outputs, of storages, and of which failures a retry made good.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from snakemake import api as api  # before the others: they import each other in a circle
from snakemake.io import is_flagged
from snakemake.logging import logger as logger  # writes to the terminal and to the log file of the run

#: Where Snakemake keeps its locks on a folder: it has no command that says whether one is stale.
LOCKS = Path(".snakemake") / "locks"


def starts_a_run(workflow: Any) -> bool:
    """Whether a user's command reads the Snakefile, to run or plan it: not a job's own process, and not `--lint`.

    Nothing documented tells these apart. Linting alone looks for no environment variables.
    """
    return workflow.is_main_process and workflow.check_envvars


def config_sources(workflow: Any) -> tuple[list[Path], dict[str, Any]]:
    """Return the config files in the order in which they are laid over one another, and what `--config` says.

    `config`, which is documented, is all of it merged: it knows no lines and no repeated keys, and what stands below
    the first level in `--config` is a text in it. In Snakemake's list the files of the command line come first.
    """
    named = list(workflow.overwrite_configfiles)
    files = [*workflow.configfiles[len(named) :], *named]
    return [Path(file) for file in files], dict(workflow.config_settings.config)


def module_prefix(workflow: Any) -> Callable[[str], str]:
    """Return what puts the prefix of a module (`module: prefix:`) before a path: in params Snakemake does not."""
    return workflow.modifier.path_modifier.replace_prefix


def runs_here(workflow: Any) -> bool:
    """Whether jobs run on this machine and not on a cluster: no rule is told of the executor."""
    return workflow.local_exec


def resources_of_rules(workflow: Any) -> dict[str, Any]:
    """Return the resources of every rule, by name, to read and to add to: a directive knows its own rule only."""
    return {rule.name: rule.resources for rule in workflow.rules}


def limit_resources(workflow: Any, limits: Mapping[str, int]) -> None:
    """Limit how much of these resources jobs hold at once: else `--resources` does, which every user would have to."""
    for name, limit in limits.items():
        workflow.register_resource(name, limit)


def overwritten_resources(workflow: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the `set-resources` of the command line and the profile, by rule: the workflow is not told of them."""
    return workflow.resource_settings._parsed_overwrite_resources


def keep_here(workflow: Any, names: Iterable[str]) -> None:
    """Make local rules of these, as the directive `localrules` does, which takes no names that are computed."""
    workflow.localrules(*names)


@dataclass(frozen=True)
class Job:
    """One job of a run."""

    rule: str
    stage: str  # the rule file it stands in
    made: bool  # it ran in this run and ended well; otherwise what it had made before was reused
    wildcards: Mapping[str, str] = field(default_factory=dict)
    output: Mapping[str, str] = field(default_factory=dict)  # by their names in the rule, where they can be read
    log: str | None = None
    seconds: float | None = None  # wall time; None if nobody knows
    stored: Mapping[str, str] = field(default_factory=dict)  # those outputs that are in a storage: addresses there

    def __str__(self) -> str:
        return " ".join([self.rule, *self.wildcards.values()])

    def place(self, name: str) -> str:
        """Return where the user finds an output file."""
        return self.stored.get(name, self.output[name])


def only_touches(workflow: Any) -> bool:
    """Whether the run is one of `--touch`, which runs no job but calls `onsuccess`."""
    return workflow.touch


def started(workflow: Any) -> datetime:
    """Return when the run started, in local time: `onstart` comes after the DAG was built."""
    return workflow.start_time


def jobs_of(workflow: Any) -> list[Job]:
    """Return every job of the run that makes something, in the order of the rules: hooks are told of no job."""
    place = {rule.name: number for number, rule in enumerate(workflow.rules)}
    jobs = sorted(workflow.dag.jobs, key=lambda job: place[job.rule.name])
    return [_described(workflow, job) for job in jobs if job.output]


def failed_jobs(workflow: Any) -> list[Job]:
    """Return the jobs that failed, those of groups one by one: not those that a retry made good."""
    failed = (one for job in workflow.scheduler.failed for one in (job if job.is_group() else [job]))
    return [_described(workflow, job) for job in failed]


def done_and_wanted(workflow: Any) -> tuple[int, int]:
    """Return how many jobs that make something ran, and how many were to run."""
    wanted = [job for job in workflow.dag.needrun_jobs(exclude_finished=False) if job.output]
    return sum(map(workflow.dag.finished, wanted)), len(wanted)


def finished_journals(workflow: Any) -> list[str]:
    """Return the journals of jobs whose files are all there and recorded, also of those that are about to run again.

    One whose files are temporary has measured for other jobs, whose journals those are.
    """

    async def is_finished(job: Any) -> bool:  # for the DAG, `--touch` finishes also a job whose files are gone
        return all([await file.exists() for file in job.output]) and not await workflow.persistence.incomplete(job)

    kept = [job for job in workflow.dag.jobs if job.rule.params.get("journal") and not only_temporary(job)]
    having = [job for job in kept if Path(job.params.journal).exists()]
    return [str(job.params.journal) for job in having if workflow.async_run(is_finished(job))]


def journals_to_write(workflow: Any, rules_of: Iterable[str]) -> list[str]:
    """Return the journals of the jobs of these rules that are to run."""
    return [str(job.params.journal) for job in workflow.dag.needrun_jobs() if job.rule.name in rules_of]


def only_temporary(job: Any) -> bool:
    """Whether all that one of Snakemake's own jobs makes is temporary."""
    return bool(job.output) and all(is_flagged(file, "temp") for file in job.output)


def targets(workflow: Any) -> list[str]:
    """Return what the command line asks for, files and rules; nothing where that is the default."""
    return sorted(map(str, workflow.dag_settings.targets))


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


def _seconds(workflow: Any, job: Any) -> float | None:
    """Return a job's wall time: its benchmark's, else, where that went into a storage, what Snakemake recorded."""
    try:
        return float(Path(str(job.benchmark)).read_text().splitlines()[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        record = workflow.persistence.metadata(job.output[0])
    if record is None or not record.starttime or not record.endtime:
        return None
    return max(record.endtime - record.starttime, 0.0)


@contextlib.contextmanager
def at_hand(workflow: Any, wanted: Mapping[str, str]) -> Iterator[None]:
    """Have one named output of each of these rules here, also where it went into a storage, which jobs alone read."""
    paths = [job.output.get(wanted[job.rule.name]) for job in workflow.dag.jobs if job.rule.name in wanted]
    away = [path for path in paths if path is not None and path.is_storage and not Path(path).exists()]

    async def every(action: Callable[[Any], Any]) -> None:
        for path in away:
            await action(path)

    workflow.async_run(every(lambda path: path.storage_object.managed_retrieve()))
    try:
        yield
    finally:
        workflow.async_run(every(lambda path: path.remove(only_local=True)))
