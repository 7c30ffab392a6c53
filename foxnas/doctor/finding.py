"""Findings about a device, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "advice", "blocking"]

Verdict = Literal["ready", "ready, but", "not ready"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    topic
        What was looked at, in one or two words.
    level
        Whether it is as it should be, could be better, or keeps the device from being measured on.
    text
        What was found, as a clause that can stand after "because".
    mend
        The command that mends it, or what to do where there is none. Nothing runs it.
    """

    topic: str
    level: Level
    text: str
    mend: str = ""


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return what findings come to."""
    levels = {finding.level for finding in findings}
    return "not ready" if "blocking" in levels else "ready, but" if "advice" in levels else "ready"


def sentence(findings: Sequence[Finding]) -> str:
    """Return the last line: ``ready``, ``ready, but ...`` or ``not ready because ...``."""
    said = verdict(findings)
    level = "blocking" if said == "not ready" else "advice"
    reasons = "; ".join(finding.text for finding in findings if finding.level == level)
    return {"ready": "ready", "ready, but": f"ready, but {reasons}", "not ready": f"not ready because {reasons}"}[said]
