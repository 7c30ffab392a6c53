"""What Snakemake (9.27.1) would run and what it remembers, as data, for tests and benchmarks.

None of it is documented, so it stands beside `foxnas.flow.snakemake_private`, which has what the workflow itself uses,
and tests/flow/test_plans.py holds Snakemake to it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakemake import api
from snakemake import workflow as workflows
from snakemake.resources import Resources
from snakemake.settings import enums, types


@contextlib.contextmanager
def planned(
    snakefile: Path, folder: Path, *configs: Path, executor: str = "", overwritten: Mapping[str, Any] = {}, **dag: Any
) -> Iterator[Any]:
    """Yield a workflow with its DAG, of which nothing runs: `--dry-run` gives no data.

    Jobs run on this machine unless an `executor` is named, which has nodes; `overwritten` is as
    `snakemake_private.overwritten_resources` returns it, `dag` are fields of Snakemake's DAGSettings. The process is of
    no further use.
    """
    limits: dict[str, Any] = {"nodes": 9} if executor else {"cores": 2}
    for rule, given in overwritten.items():
        words = [f"{name}={value}" for name, value in given.items()]
        limits.setdefault("overwrite_resources", {})[rule] = Resources.parse(words, allow_expressions=True)
    with api.SnakemakeApi(types.OutputSettings(quiet={enums.Quietness.ALL})) as snakemake:
        described = snakemake.workflow(
            resource_settings=types.ResourceSettings(**limits),
            config_settings=types.ConfigSettings(configfiles=list(configs)),
            storage_settings=types.StorageSettings(),
            snakefile=snakefile,
            workdir=folder,
        )
        described.dag(types.DAGSettings(**dag))
        workflow = described._workflow
        if executor:
            workflow._executor_plugin = api.ExecutorPluginRegistry().get_plugin(executor)
        workflow.execution_settings = types.ExecutionSettings()
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        workflow._build_dag()
        yield workflow


def reasons(workflow: Any) -> dict[Any, str | None]:
    """Return the jobs of a plan, each with Snakemake's reason to run it, None if it would not run."""
    dag = workflow.dag
    return {job: str(dag.reason(job)) if dag.needrun(job) else None for job in dag.jobs}


def pretend_finished(workflow: Any, jobs: Iterable[Any], write: Callable[[Path, bool], object]) -> None:
    """Record planned jobs as finished, whose outputs `write` makes (told whether a folder): else jobs have to run."""
    workflow.iocache.deactivate()  # as before real jobs: it would not see, nor checksum, what is written now
    finished = [job for level in workflow.dag.toposorted(set(jobs)) for job in level]
    for job in finished:
        # A rule that is asked for by name has to have made its benchmark, too.
        for file in filter(None, [*job.output, job.benchmark]):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            write(Path(file), file.is_directory)
        workflow.async_run(workflow.persistence.finished(job))
    for file in (file for job in finished for file in job.output if file.flags.get("temp")):
        Path(file).unlink()  # as when all that needed it is done


def records(folder: Path) -> Iterator[tuple[Path, Path, dict[str, Any]]]:
    """Yield every output in a folder, the file with its record, and the record: Snakemake lists them for no one."""
    metadata = folder / ".snakemake" / "metadata"
    for path in filter(Path.is_file, metadata.rglob("*")):
        encoded = "".join(part.removeprefix("@") for part in path.relative_to(metadata).parts)
        output = folder / base64.urlsafe_b64decode(encoded).decode()
        if output.exists():
            yield output, path, json.loads(path.read_text())


#: What Snakemake made of Snakefiles, by all that decides it.
_parsed: dict[tuple[Any, ...], tuple[str, int, dict[int, int]]] = {}
_parse = workflows.parse


def parse_once() -> None:
    """Parse and compile no Snakefile twice whose text is the same, in this process and its forks."""
    workflows.parse = _parse_once
    workflows.compile = cache(compile)


def parse(snakefile: Path, config: Path) -> None:
    """Parse a workflow for forks of this process; in one, since a process that has planned is of no further use."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        with (
            tempfile.TemporaryDirectory() as folder,
            planned(snakefile, Path(folder), config),
            os.fdopen(writing, "wb") as file,
        ):
            pickle.dump(_parsed, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        _parsed.update(pickle.load(file))
    os.waitpid(child, 0)
    for (path, *_), (code, *_) in _parsed.items():
        workflows.compile(code, path, "exec")


def _parse_once(path: Any, own: Any, linemap: dict[int, int], **more: Any) -> tuple[str, int]:
    name = path.get_path_or_uri(secret_free=True)
    with Path(name).open("rb") if path.is_local else own.sourcecache.open(path) as file:
        key = name, file.read(), *sorted(more.items())
    if key not in _parsed:
        lines: dict[int, int] = {}
        _parsed[key] = *_parse(path, own, linemap=lines, **more), lines
    code, rules, lines = _parsed[key]
    linemap.update(lines)
    return code, rules
