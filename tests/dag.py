"""What would run: Snakemake's own answer as data, for a folder and a configuration, in a fraction of a second.

`DryRuns` keeps one process, in which Snakemake and one tree of this workflow's sources are imported. Every question is
answered by a fork of it, so no question sees what another has cached: neither Snakemake's state nor the digests of
`foxnas.code`. Edits that leave the code's behaviour alone, comments say, may be made to the tree between questions.

The command line has no such answer; `_answer` is the one place that uses Snakemake's private interface (as of 9.27.1).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent


class Job(NamedTuple):
    """A job, as a person would name it."""

    rule: str
    wildcards: tuple[tuple[str, str], ...]
    """Names and values, sorted."""

    def __str__(self) -> str:
        return " ".join([self.rule, *(f"{name}={value}" for name, value in self.wildcards)])


class DryRuns:
    """Dry runs of the workflow in `tree`; a context manager.

    Parameters
    ----------
    tree
        The folder with the Snakefile.
    """

    def __init__(self, tree: Path = ROOT) -> None:
        self.tree = tree

    def __enter__(self) -> DryRuns:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.tree)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.tree,
            env={**os.environ, "PYTHONPATH": str(self.tree)},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def jobs(self, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str] = ()) -> dict[Job, str]:
        """Return the jobs that would run, with Snakemake's reasons; the rule `all` is left out.

        Raises RuntimeError with Snakemake's message when it does not get so far.
        """
        return {
            Job(rule, tuple(map(tuple, wildcards))): reason
            for rule, wildcards, reason in self._ask("plan", folder, config, targets)
        }

    def pretend(self, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str] = ()) -> None:
        """Bring the folder to where these jobs have run, with placeholders for what they would have written.

        Snakemake's metadata are what it writes after a real job: params, inputs with their checksums, code.
        """
        self._ask("pretend", folder, config, targets)

    def _ask(self, what: str, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            if not isinstance(config, Path):
                json.dump(config, file)  # which is YAML
                file.flush()
            path = config if isinstance(config, Path) else file.name
            question = {"what": what, "folder": str(folder), "config": str(path), "targets": list(targets)}
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]


def rules_of(jobs: Iterable[Job]) -> set[str]:
    """Return the names of the jobs' rules."""
    return {job.rule for job in jobs}


def _serve(tree: Path) -> None:
    """Answer questions until there are no more."""
    import snakemake.api  # noqa: F401  (imported once, for all forks)

    import foxnas.workflow  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Snakemake prints
    for line in sys.stdin:
        receiving, sending = os.pipe()
        if not (child := os.fork()):
            os.close(receiving)
            with os.fdopen(sending, "w") as out:
                try:
                    out.write(json.dumps({"answer": _answer(tree, **json.loads(line))}))
                except BaseException as error:
                    out.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
            os._exit(0)
        os.close(sending)
        with os.fdopen(receiving) as given:
            answers.write(given.read() + "\n")
        answers.flush()
        os.waitpid(child, 0)


def _answer(
    tree: Path, what: str, folder: str, config: str, targets: list[str]
) -> list[tuple[str, list[tuple[str, str]], str]]:
    from snakemake.api import SnakemakeApi
    from snakemake.settings import types
    from snakemake.settings.enums import Quietness

    profile = yaml.safe_load((tree / "profiles" / "default" / "config.yaml").read_text())
    with SnakemakeApi(types.OutputSettings(quiet={Quietness.ALL})) as api:
        described = api.workflow(
            resource_settings=types.ResourceSettings(cores=2),
            config_settings=types.ConfigSettings(configfiles=[Path(config)]),
            storage_settings=types.StorageSettings(),
            snakefile=tree / "Snakefile",
            workdir=Path(folder),
        )
        dag_settings = types.DAGSettings(
            targets=frozenset(targets), max_checksum_file_size=profile["max-checksum-file-size"]
        )
        described.dag(dag_settings)
        workflow = described._workflow
        workflow.execution_settings = types.ExecutionSettings()
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        workflow._build_dag()
        jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name != "all"]
        if what == "pretend":
            for level in workflow.dag.toposorted(set(jobs)):
                for job in level:
                    for file in job.output:
                        path = Path(file)
                        if file.is_directory:
                            path.mkdir(parents=True, exist_ok=True)
                        else:
                            path.parent.mkdir(parents=True, exist_ok=True)
                            path.write_text(f"placeholder of {file}\n")
                    workflow.async_run(workflow.persistence.finished(job))
        return [
            (job.rule.name, sorted(map(list, job.wildcards_dict.items())), str(workflow.dag.reason(job)))
            for job in jobs
        ]


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
