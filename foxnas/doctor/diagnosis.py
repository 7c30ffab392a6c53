"""Judges an examination: findings in the order in which they were made. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from foxnas.device.kinds import kind_of
from foxnas.doctor.board import judge_board, judge_conditions
from foxnas.doctor.examination import Examination
from foxnas.doctor.finding import Finding
from foxnas.doctor.measuring import Promises, judge_load, judge_sessions
from foxnas.doctor.way import Way


def diagnose(found: Examination, way: Way, promises: Promises) -> list[Finding]:
    """Return what an examination comes to, finding by finding."""
    findings = []
    if found.survey:
        findings.append(Finding("connection", "ok", f"{found.host} answers"))
        findings += judge_board(found.survey, way, found.folder)
    if found.conditions:
        findings += judge_conditions(found.conditions, way)
    if found.sessions:
        step = found.conditions.clock_step_ns if found.conditions else None
        findings += judge_sessions(found.sessions, found.protocol, promises, step)
    if found.loaded:
        highest = found.conditions.highest_clock_mhz if found.conditions else None
        findings += judge_load(found.loaded, found.protocol, highest if kind_of(found.kind).on_cpu else None)
    return [*findings, *_end(found, way)]


def _end(found: Examination, way: Way) -> Iterator[Finding]:
    """Yield why an examination came to an end before its end."""
    if found.failed is None:
        return
    mends = {
        "connection": f"{way.login()}  # has to work without a question" if way.ssh else "",
        "conditions": way.there("{sudo}apt-get install python3 python3-venv"),
        "environment": way.provision,
        "runtime": way.provision,
        "reference": "",
    }
    mend = mends[found.failed]
    if found.failed == "runtime" and not way.provision and "installed in this Python" in found.failure:
        kind = kind_of(found.kind)
        runtime = kind.installs or min(kind.packages, default="")
        mend = way.there(f"{found.python} -m pip install {runtime}") if runtime else ""
    yield Finding(found.failed, "blocking", found.failure, mend)
