"""Deployed models of a run in rows of text, and the promises that no model keeps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json
from foxnas.flow.snakemake_private import Job
from foxnas.verdict.promises import ESTIMATE, broken, states

Row = tuple[str, ...]

#: Rules that deploy what a compiler made of the winner.
_COMPILED = ("deploy_compiled", "deploy_vela", "prepare_winner")

#: Letters of a class' name in a row.
_LONGEST_LABEL = 24

#: What is shown where a number is not known.
UNKNOWN = "-"


def broken_promises(jobs: Iterable[Job]) -> list[str]:
    """Return what to say of the promises that no model keeps."""
    judged = [job for job in jobs if job.rule == "judge_model" and "validation" in job.output]
    verdicts = [(job.wildcards["device"], job.output["validation"]) for job in judged]
    return [
        f"NOT KEPT: {sentence}"
        for device, path in verdicts
        if (found := _read(path))
        for sentence in broken(device, found, Path(path))
    ]


def deployed_models(jobs: Iterable[Job]) -> list[tuple[bool, Row]]:
    """Return a row per deployed model, and whether it keeps its promises; those that do not come first."""
    files: dict[tuple[str, str], str] = {}
    verdicts: dict[tuple[str, str], str] = {}
    for job in jobs:
        if job.rule in ("deploy_winner", *_COMPILED):  # what the device runs is the later one
            place = job.wildcards["device"], job.wildcards["budget"]
            if job.rule in _COMPILED or place not in files:
                files[place] = job.place("model")
        elif job.rule == "judge_model":
            verdicts[job.wildcards["device"], job.wildcards["budget"]] = job.output["validation"]
    rows = [_model(device, budget, file, verdicts.get((device, budget))) for (device, budget), file in files.items()]
    return sorted(rows, key=lambda row: row[0])


def proposed_architectures(jobs: Iterable[Job]) -> list[Row]:
    """Return a row per budget of a run on tables of the user's, where nothing is deployed."""
    rows: list[Row] = []
    for job in jobs:
        if job.rule == "propose_architectures":
            for one in _read(job.output["proposals"]).get("budgets", ()):
                arch = one["proposed"]
                rows.append(
                    (
                        f"{one['budget']} on {job.wildcards['device']}",
                        f"{one['budget_ms']:.4g} ms",
                        _interval(arch, "latency_ms", "latency_lower_ms", "latency_upper_ms", ".4g") + " ms",
                        _interval(arch, "accuracy", "accuracy_lower", "accuracy_upper", ".2f") + "%",
                        arch["arch"],
                    )
                )
    return rows


def _interval(found: dict[str, Any], mean: str, lower: str, upper: str, form: str) -> str:
    return f"{found[mean]:{form}} ({found[lower]:{form}} to {found[upper]:{form}})"


def _model(device: str, budget: str, file: str, validation: str | None) -> tuple[bool, Row]:
    name = f"{budget} on {device}"
    found = _read(validation)
    if not found:
        return True, (name, *[UNKNOWN] * 6, file)
    promised, median, upper = (found[key] for key in ("budget_ms", "latency_median_ms", "latency_upper_ms"))
    row = (
        name,
        f"{promised:.4g} ms",
        f"{median:.4g} ms, estimated" if found.get("latency_is") == ESTIMATE else f"{median:.4g} ({upper:.4g}) ms",
        f"{found['int8_top1_percent']:.2f}%",
        *_classes(found),
        _in_words(found),
        file,
    )
    return found["latency_kept"] and found["accuracy_kept"], row


def _classes(found: dict[str, Any]) -> Row:
    """Return the mean over classes and the worst one; nothing is known of either in a verdict of before."""
    if "worst_class" not in found:
        return UNKNOWN, UNKNOWN
    label, percent = (found["worst_class"][name] for name in ("label", "recall_percent"))
    short = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 3]}..."
    return f"{found['mean_class_percent']:.2f}%", f"{percent:.2f}% {short}"


def _in_words(found: dict[str, Any]) -> str:
    """Return which promises are not kept, or undecided: ``latency undecided, accuracy not kept``."""
    lost = {promise: verdict for promise, verdict in states(found).items() if verdict != "kept"}
    if len(lost) == 2 and len(set(lost.values())) == 1:
        return f"latency and accuracy {lost['latency']}"
    return ", ".join(f"{promise} {verdict}" for promise, verdict in lost.items()) or "kept"


def _read(path: str | None) -> dict[str, Any]:
    """Return a verdict, empty if it cannot be read."""
    try:
        return read_json(Path(path)) if path else {}
    except FoxnasError:
        return {}
