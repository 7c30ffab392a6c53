"""All that this workflow uses of Snakemake (9.27.1) and that Snakemake does not document, each with the reason.

To upgrade Snakemake, open this file and tests/flow/test_snakemake_*.py, which hold Snakemake to every use; what tests
and benchmarks use besides is in tests/support/plans.py, held by tests/flow/test_plans.py.
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
import inspect
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

from snakemake import api as api  # before the others: they import each other in a circle
from snakemake import common, rules
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.io import is_flagged
from snakemake.jobs import Job as SnakemakeJob
from snakemake.logging import logger as logger  # writes to the terminal and to the log file of the run
from snakemake.output_index import OutputIndex
from snakemake.persistence import ParamsChange, PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler

from foxnas.files.provenance import differing, leaf, recorded_making
from foxnas.flow.inputs import input_sets
from foxnas.settings.limits import LATER_NAMES

#: Where Snakemake keeps its locks on a folder: it has no command that says whether one is stale.
LOCKS = Path(".snakemake") / "locks"

_update_needrun = DAG.update_needrun
_get_function_params = common.get_function_params
_finished = PersistenceBase.finished
_has_metadata = PersistenceBase.has_metadata
_match_producers = OutputIndex.match_producers
_params_changed = PersistenceBase.params_changed
_remove_existing_output = SnakemakeJob.remove_existing_output


def mend_snakemake() -> None:
    """Mend flaws of this process' Snakemake, each told by its function below. Idempotent."""
    DAG.update_needrun = _what_is_to_run
    PersistenceBase.finished = _record
    PersistenceBase.has_metadata = _can_tell
    PersistenceBase.params_changed = _what_changed
    SnakemakeJob.remove_existing_output = _mark_first
    JobScheduler._schedule_reevalutation = _look_again
    common.get_function_params = rules.get_function_params = parameters_of
    OutputIndex.match_producers = producers_of


@wraps(_update_needrun)
async def _what_is_to_run(dag: Any, *arguments: Any, **named: Any) -> None:
    """Let Snakemake see what is gone, and changes downstream of ancient inputs.

    Snakemake misses a file only where it is a target or a running job reads it. A job that failed or was interrupted,
    whose old files it had deleted, was forgotten: the next command said that all is done, by the old verdict.

    Measurements take their upstream tables as ancient, so that another sampling code measures nothing again. When
    such an upstream job runs, Snakemake takes everything downstream for settled and looks no further, not even for
    changed params: a changed `sampling.seed` sampled anew and kept the measurements of the old subnets. Where the
    ancient file is gone, it measures everything again. So no job carries along those that take its files as ancient.
    """
    for job in dag.jobs:
        dag.reason(job).missing_output.update(await _gone(dag.workflow.persistence, job))
    everything, dag.depending = dag.depending, defaultdict(dict)
    for job, others in everything.items():
        dag.depending[job] = {other: files for other, files in others.items() if not all(f.is_ancient for f in files)}
    try:
        await _update_needrun(dag, *arguments, **named)
    finally:
        dag.depending = everything
    for job in filter(_only_temporary, dag.jobs):
        dag.reason(job).no_metadata = False  # of which Snakemake would warn


async def _gone(persistence: Any, job: Any) -> list[Any]:
    """Return the missing outputs of which a record, or the mark of a killed job, tells: of our rules, not temporary."""
    if not hasattr(job.params, "settings"):
        return []
    gone = [file for file in job.output if not is_flagged(file, "temp") and not await file.exists()]
    begun = persistence._filter_incomplete_keys(map(persistence._get_key, gone))
    return [file for file in gone if persistence._get_key(file) in begun or _was_there(persistence, file)]


def _was_there(persistence: Any, file: Any) -> bool:
    return bool((record := persistence.metadata(file)) and record.endtime)


@wraps(_remove_existing_output)
async def _mark_first(job: Any) -> None:
    """Mark a job as begun before its old files are deleted.

    Snakemake deletes them, starts the job, and marks it then: killed in between, it did not know next time that there
    had been any, where it had no record of them either.
    """
    if hasattr(job.params, "settings"):
        with _in_words(job):
            job.rule.workflow.persistence.started(job)
    await _remove_existing_output(job)


@wraps(_finished)
async def _record(persistence: Any, job: Any) -> None:
    """Record as never made, by an end at 0, what `--touch` does not find: an earlier version had no such file."""
    never = [file for file in job.output if persistence.dag.workflow.touch and not _was_there(persistence, file)]
    with _in_words(job):
        await _finished(persistence, job)
    persistence._clear_cache()
    for file in never:
        if (record := persistence.metadata(file)) is not None and not await file.exists():
            record.endtime = 0.0
            persistence._write_record(persistence._get_key(file), record)


def _look_again(scheduler: Any, delay_s: float) -> None:
    """Have the scheduler look for jobs again later, which a run that is done does not wait for.

    Snakemake's own timer holds each run for a second after its end, and in a cluster's job both of its processes.
    """
    timer = threading.Timer(delay_s, scheduler._open_jobs.release)
    timer.daemon = True
    timer.start()


@contextlib.contextmanager
def _in_words(job: Any) -> Iterator[None]:
    """Say in a sentence that Snakemake's records cannot be written: it ends in a traceback on a full disk."""
    try:
        yield
    except OSError as error:
        where = error.filename or f"{LOCKS.parent} in {Path().absolute()}"
        way_out = "make room or grant access, then run the same command again"
        raise WorkflowError(f"error: {where}: {error.strerror}; {way_out}", rule=job.rule) from None


def _can_tell(persistence: Any, job: Any) -> bool:
    """Whether Snakemake can tell if a job's params changed: by its records or, where those are lost, by the outputs.

    Temporary files that are gone are made again for whoever needs them, and by nothing that has changed since.

    A job without a record, after `rm -rf .snakemake` or where results were copied, is never run again by Snakemake
    itself, whatever changed: after a changed protocol, new measurements were joined with old ones.
    """
    if _only_temporary(job) and not any(Path(file).exists() for file in job.output):
        return False
    return bool(_has_metadata(persistence, job)) or bool(_making_of_outputs(persistence, job))


def _only_temporary(job: Any) -> bool:
    return bool(job.output) and all(is_flagged(file, "temp") for file in job.output)


def _what_changed(persistence: Any, job: Any, file: Any = None) -> Any:
    """Return what Snakemake's records say has changed and, where there are none, what the outputs say."""
    changes = _params_changed(persistence, job, file)
    for output, recorded in _making_of_outputs(persistence, job, file).items():
        wanted = _making(job, recorded)
        if leaves := differing(recorded, wanted, LATER_NAMES):
            before, now = ({f"{name}: {leaf(one, name)}" for name in leaves} for one in (recorded, wanted))
            changes |= ParamsChange(only_old=before, only_new=now, files={output})
    return changes


def _making(job: Any, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job's outputs would say of their making, as `recorded_making`.

    A script that this version no longer has was renamed: who has its place is not held against it.
    """
    script = Path(getattr(job.input, "script", ""))
    known = {"script": script.name} if (script.parent / str(recorded.get("script"))).is_file() else {}
    return {**json.loads(job.params.settings), **known, "inputs": input_sets(job.input)}


def _making_of_outputs(persistence: Any, job: Any, file: Any = None) -> dict[Any, dict[str, Any]]:
    """Return the making that those outputs say of which Snakemake has no record, of rules with the param."""
    if not hasattr(job.params, "settings"):
        return {}
    lost = [output for output in ([file] if file else job.output) if persistence.metadata(output) is None]
    read = {output: recorded_making(Path(output)) for output in lost}
    return {output: settings for output, settings in read.items() if settings is not None}


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what `inspect` says of a function, asked once per function.

    Snakemake asks about every resource and input function of every job, three times each: with ten devices, each of
    which is a resource, a fifth of a dry run (`python -m benchmarks.scale`).
    """
    if not inspect.ismethod(function):
        return _of_function(function)
    _, *names = (parameters := _of_function(function.__func__))  # every job has methods of its own
    return {name: parameters[name] for name in names}


_of_function = lru_cache(maxsize=4096)(_get_function_params)


def producers_of(index: Any, file: str) -> set[Any]:
    """Return the rules that make a file, looked up once per file.

    Snakemake compares a file with all rules' outputs again for every job that reads it: a fifth of a dry run.
    """
    known = vars(index).setdefault("producers", {})
    if file not in known:
        known[file] = _match_producers(index, file)
    return known[file]


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

    kept = [job for job in workflow.dag.jobs if job.rule.params.get("journal") and not _only_temporary(job)]
    having = [job for job in kept if Path(job.params.journal).exists()]
    return [str(job.params.journal) for job in having if workflow.async_run(is_finished(job))]


def journals_to_write(workflow: Any, rules_of: Iterable[str]) -> list[str]:
    """Return the journals of the jobs of these rules that are to run."""
    return [str(job.params.journal) for job in workflow.dag.needrun_jobs() if job.rule.name in rules_of]


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
