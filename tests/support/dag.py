"""What would run: Snakemake's own answer as data, for a folder and a configuration, in a fraction of a second.

`DryRuns` keeps one process, in which Snakemake and one tree of this workflow's sources are imported (a fork itself; see
`forked_python`). Every question is answered by a fork of it, so no question sees Snakemake's state after another.

The command line has no such answer; `tests.support.plans` has.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support import forked_python

ROOT = Path(__file__).resolve().parents[2]

#: What one asks for by name, and the default run.
ASKED_FOR = ("compare_strategies", "compare_predictors")
EVERYTHING = ("all", *ASKED_FOR)


class Job(NamedTuple):
    """A job, as a person would name it."""

    rule: str
    wildcards: tuple[tuple[str, str], ...]
    """Names and values, sorted."""

    @classmethod
    def parse(cls, text: str) -> Job:
        """Return the job of a text like ``time_subnets device=pi shard=0``."""
        rule, *values = text.split()
        return cls(rule, tuple(sorted((name, value) for name, _, value in (word.partition("=") for word in values))))

    def covers(self, other: Job) -> bool:
        """Whether the other is of the same rule and has these wildcards, among others."""
        return self.rule == other.rule and set(self.wildcards) <= set(other.wildcards)

    def __str__(self) -> str:
        return " ".join([self.rule, *(f"{name}={value}" for name, value in self.wildcards)])


class Plan(NamedTuple):
    """What a dry run says."""

    jobs: Mapping[Job, Sequence[str]]
    """All that the targets depend on, with their outputs."""
    runs: Mapping[Job, str]
    """Those of them that would run, with Snakemake's reasons."""

    @property
    def rules(self) -> set[str]:
        """The rules of which a job would run."""
        return {job.rule for job in self.runs}


class DryRuns:
    """Dry runs of the workflow in `tree`; a context manager.

    Parameters
    ----------
    tree
        The folder with the Snakefile.
    edited
        Whether code is edited between questions, in ways that leave imports alone; else its digests are computed once.
    """

    def __init__(self, tree: Path = ROOT, *, edited: bool = False) -> None:
        self.tree, self._edited = tree, edited

    def __enter__(self) -> DryRuns:
        asking, answering = os.pipe(), os.pipe()
        own = f"/proc/{os.getpid()}/fd"
        code = "import sys; from tests.support import dag; dag.serve(*sys.argv[1:])"
        self._wait = forked_python.start_silent(
            ["-c", code, str(self.tree), f"{own}/{asking[0]}", f"{own}/{answering[1]}"],
            self.tree,
            {**os.environ, "PYTHONPATH": f"{self.tree}{os.pathsep}{ROOT}"},  # the tree may have no tests
            elsewhere=self.tree != ROOT,
        )
        self._questions, self._answers = os.fdopen(asking[1], "w"), os.fdopen(answering[0])
        self._answers.readline()  # it has opened its ends
        os.close(asking[0])
        os.close(answering[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._questions.close()
        self._wait()
        self._answers.close()

    def plan(self, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str] = EVERYTHING) -> Plan:
        """Return what would run there; the rule `all` is left out.

        Raises RuntimeError with Snakemake's message when it does not get so far.
        """
        jobs, runs = {}, {}
        for rule, wildcards, outputs, reason in self._ask("plan", folder, config, targets):
            job = Job(rule, tuple(map(tuple, wildcards)))
            jobs[job] = outputs
            if reason is not None:
                runs[job] = reason
        return Plan(jobs, runs)

    def pretend(self, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str] = EVERYTHING) -> None:
        """Bring the folder to where these jobs have run, with placeholders for what they would have written.

        Snakemake's metadata are what it writes after a real job: params, inputs with their checksums, code.
        """
        self._ask("pretend", folder, config, targets)

    def _ask(self, what: str, folder: Path, config: Mapping[str, Any] | Path, targets: Sequence[str]) -> Any:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            if not isinstance(config, Path):
                json.dump(config, file)  # which is YAML
                file.flush()
            path = config if isinstance(config, Path) else file.name
            question = {
                "edited": self._edited,
                "what": what,
                "folder": str(folder),
                "config": str(path),
                "targets": list(targets),
            }
            self._questions.write(json.dumps(question) + "\n")
            self._questions.flush()
            answer = json.loads(self._answers.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]


def serve(folder: str, asking: str, answering: str) -> None:
    """Answer questions, by these files, until there are no more."""
    tree = Path(folder)
    with Path(asking).open() as questions, Path(answering).open("w") as answers:
        answers.write("\n")
        answers.flush()
        for number, line in enumerate(questions):
            if number == 0:
                _warm_up(tree, **json.loads(line))
                gc.freeze()  # forks do not look through what they share, which would be to copy it page by page
            answers.write(_in_a_fork(tree, line) + "\n")
            answers.flush()


def _in_a_fork(tree: Path, line: str) -> str:
    receiving, sending = os.pipe()
    if not (child := os.fork()):
        gc.disable()  # it ends before there is much
        os.close(receiving)
        with os.fdopen(sending, "w") as out:
            try:
                out.write(json.dumps({"answer": _answer(tree, **json.loads(line))}))
            except BaseException as error:
                out.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as given:
        answer = given.read()
    os.waitpid(child, 0)
    return answer


def _warm_up(tree: Path, **question: Any) -> None:
    """Import, digest and parse what all forks need."""
    from tests.support import plans

    plans.parse_once()
    with contextlib.suppress(Exception):  # the fork says it
        _answer(tree, **{**question, "edited": False, "what": "plan"})


def _answer(
    tree: Path, edited: bool, what: str, folder: str, config: str, targets: list[str]
) -> list[tuple[str, list[list[str]], list[str], str | None]]:
    from tests.support import plans

    if edited:
        from foxnas.device import plug_in_code
        from foxnas.files import closures

        for name, function in (*vars(closures).items(), *vars(plug_in_code).items()):
            if hasattr(function, "cache_clear") and name not in ("_imported", "_path"):
                function.cache_clear()
    asked = {"targets": frozenset(targets), "max_checksum_file_size": _threshold(tree)}
    with plans.planned(tree / "Snakefile", Path(folder), Path(config), **asked) as workflow:
        jobs = {job: why for job, why in plans.reasons(workflow).items() if job.rule.name != "all"}
        if what == "pretend":
            running = [job for job, why in jobs.items() if why is not None]
            plans.pretend_finished(workflow, running, _pretend)
        return [
            (job.rule.name, sorted(map(list, job.wildcards_dict.items())), list(map(str, job.output)), why)
            for job, why in jobs.items()
        ]


@cache
def _threshold(tree: Path) -> int:
    profile = yaml.safe_load((tree / "profiles" / "default" / "config.yaml").read_text())
    return profile["max-checksum-file-size"]


def _pretend(path: Path, is_folder: bool) -> None:
    if is_folder:
        path.mkdir(exist_ok=True)
    else:
        path.write_text(f"placeholder of {path}\n")
