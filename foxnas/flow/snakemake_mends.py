"""What this workflow mends in its process' Snakemake (9.27.1), which has no documented way to; see `snakemake_private`.

Each function says which flaw it mends; tests/flow/test_snakemake_*.py hold it to that.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

from snakemake import api as api  # before the others: they import each other in a circle
from snakemake import common, rules
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.io import is_flagged
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.persistence import ParamsChange, PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler

from foxnas.files.provenance import differing, leaf, recorded_making
from foxnas.flow.inputs import input_sets
from foxnas.flow.snakemake_private import LOCKS, only_temporary
from foxnas.settings.limits import LATER_NAMES

_update_needrun = DAG.update_needrun
_get_function_params = common.get_function_params
_finished = PersistenceBase.finished
_has_metadata = PersistenceBase.has_metadata
_match_producers = OutputIndex.match_producers
_params_changed = PersistenceBase.params_changed
_remove_existing_output = Job.remove_existing_output


def mend_snakemake() -> None:
    """Mend flaws of this process' Snakemake, each told by its function below. Idempotent."""
    DAG.update_needrun = _what_is_to_run
    PersistenceBase.finished = _record
    PersistenceBase.has_metadata = _can_tell
    PersistenceBase.params_changed = _what_changed
    Job.remove_existing_output = _mark_first
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
    for job in filter(only_temporary, dag.jobs):
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
    if only_temporary(job) and not any(Path(file).exists() for file in job.output):
        return False
    return bool(_has_metadata(persistence, job)) or bool(_making_of_outputs(persistence, job))


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
