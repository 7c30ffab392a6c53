"""What a run says when it ends: what was reused, what was measured, where the time went, where the results are.

The workflow's `onsuccess` and `onerror` call `succeeded` and `failed`; the rest works on plain values. Nothing here
reads a table whole, so that a run of thousands of jobs is summed up in well under a second.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from foxnas.accuracy.outcomes import EVALUATED
from foxnas.errors import FoxnasError
from foxnas.files.journal import as_text
from foxnas.files.progress import duration
from foxnas.files.tables import replacing, row_count
from foxnas.flow import snakemake_private
from foxnas.flow.params import SHARD_SIZE
from foxnas.flow.snakemake_private import Job, logger
from foxnas.flow.verdicts import UNKNOWN, Row, broken_promises, deployed_models, proposed_architectures
from foxnas.verdict.proposals import BASIS

#: Where the last summary is kept, whole.
SUMMARY = Path("results/logs/summary.txt")

#: What a summary reads whole, by rule.
READ = {"judge_model": "validation", "export_candidates": "table", "propose_architectures": "proposals"}

#: Deployed models on the terminal.
MODELS_SHOWN = 20

#: The rule that fails, last of all, where a promise is not kept.
_LAST = "check_promises"

#: Rules that measure a shard of subnets, and how a summary calls that.
_SHARDS = {
    "evaluate_subnets": "subnets evaluated",
    "time_subnets": "probes timed on {device}",
    "time_compiled": "probes timed on {device}",
    "estimate_subnets": "probes estimated for {device}",
}

#: Rules that time as many of a shard as are needed.
_CHOSEN = ("time_chosen", "time_rest")

#: What a job of theirs says of the sessions that evaluated its shard.
_EVALUATED = re.compile(EVALUATED.replace("%d", r"(\d+)").replace("%s", r"(\S+)"))

#: Rules that make a table of as many as they are given.
_TABLES = {
    "export_candidates": "candidates exported for {device}",
    "evaluate_acquired": "subnets acquired for {device}",
}


def succeeded(workflow: Any) -> None:
    """Say what a finished run did, on the terminal and in `SUMMARY`."""
    _say(workflow, _success)


def failed(workflow: Any) -> None:
    """Say what stopped a run, and how to go on."""
    _say(workflow, _failure)


def _say(workflow: Any, what: Callable[[Any, datetime, float], None]) -> None:
    if snakemake_private.only_touches(workflow):
        return
    try:
        began = snakemake_private.started(workflow)
        what(workflow, began, (datetime.now() - began).total_seconds())
    except Exception as error:  # a broken summary must not fail the run
        logger.warning(f"no summary of this run: {type(error).__name__}: {error}")


def _success(workflow: Any, began: datetime, wall_s: float, failed: str = "") -> None:
    jobs = [job for job in snakemake_private.jobs_of(workflow) if job.rule != failed]
    utc = as_text(began)
    with snakemake_private.at_hand(workflow, READ):
        whole, short = (summary(jobs, wall_s, utc, at_most, str(SUMMARY)) for at_most in (None, MODELS_SHOWN))
    logger.info(f"\n{short}\n")
    with replacing(SUMMARY) as temporary:
        temporary.write_text(whole + "\n")


def _failure(workflow: Any, began: datetime, wall_s: float) -> None:
    lost, counts = snakemake_private.failed_jobs(workflow), snakemake_private.done_and_wanted(workflow)
    if lost and {job.rule for job in lost} == {_LAST}:  # all else is finished: what it came to is said, not a breakdown
        _success(workflow, began, wall_s, _LAST)
        logger.error(
            "foxnas: failed, because a promise is not kept; `validation.unkept: report` would end in success\n"
        )
        return
    logger.error(f"\n{failure(lost, *counts, wall_s, command_line(sys.argv))}\n")


def command_line(words: list[str]) -> str:
    """Return what was typed to start this run."""
    program = Path(words[0])
    start = ["python", "-m", "snakemake"] if program.name == "__main__.py" else [program.name]
    return shlex.join([*start, *words[1:]])


@dataclass(frozen=True)
class Measured:
    """How many of one kind were measured in this run, and how many earlier; `note` says what else is to be known."""

    what: str
    made: int
    reused: int
    note: str = ""


@dataclass(frozen=True)
class StageTime:
    """The jobs of one stage: how many ran, how many were reused, their wall times in seconds, and the longest."""

    stage: str
    made: int
    reused: int
    seconds: float
    longest: Job | None


def measured(jobs: Iterable[Job], began: str = "") -> list[Measured]:
    """Return what was measured, one line per kind and device, in the order of the jobs.

    `began` is the start of the run, as `as_text` has it: what sessions before it measured comes from the journal of an
    interrupted job, and counts as reused.
    """
    totals: dict[str, list[int]] = {}
    for job in jobs:
        if job.rule in _SHARDS:
            what, count = _SHARDS[job.rule], SHARD_SIZE
        elif job.rule in _CHOSEN:
            what, count = _SHARDS["time_subnets"], _timed(job.output.get("session"))
        elif job.rule in _TABLES:
            what, count = _TABLES[job.rule], _rows(job.output.get("table"))
        else:
            continue
        numbers = totals.setdefault(what.format_map(job.wildcards), [0, 0, 0, 0])
        flagged, timings, before = 0, 0, 0
        if job.made and "session" in job.output:
            flagged, timings, before = _of_session(job.output["session"], began)
        elif job.made and job.rule in ("evaluate_subnets", "evaluate_acquired"):
            before = _evaluated_before(job.log, began)
        made = count - before if job.made else 0
        for place, number in enumerate((made, count - made, flagged, timings)):
            numbers[place] += number
    return [
        Measured(what, made, reused, _note(flagged, kept)) for what, (made, reused, flagged, kept) in totals.items()
    ]


def _note(flagged: int, kept: int) -> str:
    notes = {f"{flagged} flagged": flagged, f"{kept} timings kept from before an interruption": kept}
    return ", ".join(note for note, count in notes.items() if count)


@cache
def _of_session(path: str, began: str) -> tuple[int, int, int]:
    """Return how many probes of a shard are flagged, and how many timings and probes are of before this run."""
    try:
        session = json.loads(Path(path).read_text())  # whether it was edited is for those to say who build on it
    except (OSError, ValueError):
        return 0, 0, 0
    before = [one for one in session["sessions"] if one["started"] < began]
    timings, probes = (sum(one.get(name, 0) for one in before) for name in ("timings", "probes"))
    return session["flagged"], timings, probes


def _timed(path: str | None) -> int:
    """Return how many probes of a shard were timed."""
    try:
        return sum(one.get("probes", 0) for one in json.loads(Path(path).read_text())["sessions"]) if path else 0
    except (OSError, ValueError):
        return 0


def _evaluated_before(log: str | None, began: str) -> int:
    """Return how many subnets of a shard sessions before this run evaluated, as the job's log has it."""
    try:
        text = Path(log).read_text(errors="replace") if log else ""
    except OSError:
        return 0
    return sum(int(count) for count, started in _EVALUATED.findall(text) if started < began)


def _rows(path: str | None) -> int:
    try:
        return row_count(Path(path)) if path else 0
    except FoxnasError:
        return 0


def time_by_stage(jobs: Iterable[Job]) -> list[StageTime]:
    """Return where the time went, a row per stage, in the order of the jobs."""
    by_stage: dict[str, list[Job]] = {}
    for job in jobs:
        by_stage.setdefault(job.stage, []).append(job)
    rows = []
    for stage, its_jobs in by_stage.items():
        made = [job for job in its_jobs if job.made]
        timed = [job for job in made if job.seconds is not None]
        longest = max(timed, key=lambda job: job.seconds or 0.0, default=None)
        total = sum(job.seconds or 0.0 for job in timed)
        rows.append(StageTime(stage, len(made), len(its_jobs) - len(made), total, longest))
    return rows


def summary(jobs: Sequence[Job], wall_s: float, began: str = "", at_most: int | None = None, kept: str = "") -> str:
    """Return the summary of a run that ended well and took `wall_s` seconds; `began` is as in `measured`.

    It shows at most `at_most` deployed models, those that break a promise first, and says where the whole is `kept`.
    """
    made = [job for job in jobs if job.made]
    reused = len(jobs) - len(made)
    parts = [f"foxnas: done in {duration(wall_s)}; {_number(len(made), 'job')} run, {reused} reused"]
    if counts := measured(jobs, began):
        numbers = [(row.what, f"{row.made:,}", f"{row.reused:,}", row.note) for row in counts]
        parts.append(_table(("measured", "this run", "reused", ""), numbers, right=(1, 2)))
    if made:
        parts.append(_times(jobs))
    if models := deployed_models(jobs):
        shown = models[:at_most]
        measured_of = ("measured (95% bound)", "int8 top-1", "mean of classes", "worst class")
        header = ("model", "promised", *measured_of, "verdict", "file")
        parts.append(_table(header, [row for _, row in shown], right=(1, 2, 3, 4)))
        if len(shown) < len(models):
            parts[-1] += f"\n  ... and {len(models) - len(shown)} more"
    if proposals := proposed_architectures(jobs)[:at_most]:
        heading = (BASIS, "limit", "latency (95% interval)", "top-1 (95% interval)", "architecture")
        parts.append(_table(heading, proposals, right=(1, 2, 3)))
    places = [f"  page     {job.place('page')}" for job in jobs if "page" in job.output]
    if kept:
        places.append(f"  summary  {kept}")
    return "\n\n".join([*parts, *(["\n".join(places)] if places else []), *broken_promises(jobs)])


def _times(jobs: Sequence[Job]) -> str:
    stages = time_by_stage(jobs)
    total = sum(stage.seconds for stage in stages)
    rows: list[Row] = []
    for stage in stages:
        known = stage.longest is not None and stage.longest.seconds is not None
        share = f"{100 * stage.seconds / total:.0f}%" if known and total else UNKNOWN
        longest = f"{stage.longest}, {duration(stage.longest.seconds or 0.0)}" if stage.longest else ""
        spent = duration(stage.seconds) if known else UNKNOWN
        rows.append((stage.stage, str(stage.made), str(stage.reused), spent, share, longest))
    together = sum(stage.made for stage in stages), sum(stage.reused for stage in stages)
    rows.append(("all", *map(str, together), duration(total) if total else UNKNOWN, "", ""))
    return _table(("jobs of stage", "this run", "reused", "time", "share", "longest"), rows, right=(1, 2, 3, 4))


def failure(failed: Sequence[Job], done: int, wanted: int, wall_s: float, command: str, at_most: int = 5) -> str:
    """Return what a run that failed says: which jobs, their last words, their logs, and how to go on.

    Of the jobs that were `wanted`, some are `done`; `command` started the run.
    """
    how = f"{_number(len(failed), 'job')} failed" if failed else "it was interrupted"
    so_far = f"{done} of {_number(wanted, 'job')} done{', and kept' * bool(done)}"
    parts = [f"foxnas: stopped after {duration(wall_s)}: {how}; {so_far}"]
    for job in failed[:at_most]:
        lines = [f"  {job}", f"      {last_words(job.log)}", *([f"      {job.log}"] if job.log else [])]
        parts.append("\n".join(lines))
    if len(failed) > at_most:
        parts.append(f"  ... and {len(failed) - at_most} more")
    parts.append(f"  to go on,{' mend that and' * bool(failed)} type the same again: {command}")
    return "\n\n".join(parts)


def last_words(log: str | None) -> str:
    """Return the error that a job's log ends with, else its last line."""
    try:
        text = Path(log).read_text(errors="replace") if log else ""
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    said = (errors or lines or ["it left no message; it was killed, or never began"])[-1]
    return said if len(said) <= 300 else f"{said[:300]}..."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _table(header: Row, rows: Sequence[Row], right: Sequence[int]) -> str:
    """Return aligned columns; those whose positions are in `right` are aligned there."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = (
        [cell.rjust(width) if column in right else cell.ljust(width)
         for column, (cell, width) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )  # fmt: skip
    return "\n".join(f"  {'  '.join(line)}".rstrip() for line in padded)
