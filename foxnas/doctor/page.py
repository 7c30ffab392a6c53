"""Renders findings: lines for a terminal, and an object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from foxnas.doctor.examination import Examination
from foxnas.doctor.finding import Finding, sentence, verdict
from foxnas.doctor.measuring import Promises, counting_ms
from foxnas.doctor.spread import interval_percent, least_difference_percent, spread_percent

#: What of a timing under load is told.
_LOADED = ("after_s", "latency_ms", "p90_ms", "clock_mhz", "temperature_c", "throttled", "preempted_percent")


def as_text(found: Examination, findings: Sequence[Finding]) -> str:
    """Return one line per finding, below it what mends it, and at the end what all of it comes to."""
    width = max(len(finding.topic) for finding in findings)
    lines = [f"{found.device}: {found.host}"]
    for finding in findings:
        lines.append(f"  {finding.level:<9} {finding.topic:<{width}}  {finding.text}")
        if finding.mend:
            lines.append(f"  {'':<9} {'':<{width}}  -> {finding.mend}")
    return "\n".join([*lines, sentence(findings)])


def as_object(found: Examination, findings: Sequence[Finding], promises: Promises) -> dict[str, Any]:
    """Return all of it as values that JSON has."""
    return {
        "device": found.device,
        "kind": found.kind,
        "host": found.host,
        "verdict": verdict(findings),
        "sentence": sentence(findings),
        "findings": [asdict(finding) for finding in findings],
        "survey": None if found.survey is None else str(found.survey),
        "conditions": None if found.conditions is None else found.conditions.model_dump(mode="json"),
        "reference": _reference(found, promises),
        "load": [{name: row.get(name) for name in _LOADED} for row in found.loaded],
    }


def _reference(found: Examination, promises: Promises) -> dict[str, Any] | None:
    """Return what sessions of the reference came to; None where there were none."""
    if not found.sessions:
        return None
    medians, hello = counting_ms(found.sessions), found.sessions[0].hello
    told: dict[str, Any] = {
        "runtime": hello["runtime"],
        "runtime_version": hello["runtime_version"],
        "accelerator": hello.get("accelerator"),
        "executor": found.sessions[0].facts.get("executor"),
        "fallback_operators": found.sessions[0].facts.get("fallback_operators"),
        "timer_overhead_ns": hello.get("timer_overhead_ns"),
        "sessions": len(found.sessions),
        "session_medians_ms": medians,
        "not_believed": [one.reason for one in found.sessions if one.reason],
    }
    if len(medians) > 1:
        spread = spread_percent(medians)
        told["spread_percent"] = spread
        told["spread_interval_percent"] = list(interval_percent(spread, len(medians)))
        told["least_difference_percent"] = least_difference_percent(spread, promises.most_sessions, promises.sessions)
    return told
