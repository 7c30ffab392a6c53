"""Promises that no model keeps, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foxnas.files.rerun import rerun

#: Under `latency_is`, in every file that has a compiler's estimate in the place of a measured latency.
ESTIMATE = "estimate"

_LOOSEN = "raise the budget, or add a larger value to search.reserves_percent"

#: What a candidate that was tried has, by the name that it has in a verdict.
_TRIED = {"arch": "arch", "source": "source", "latency_median_ms": "median_ms", "latency_upper_ms": "upper_ms"}


def complete(validation: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict, one of 0.1.0 with what it does not say: it tried one candidate, and left nothing undecided."""
    verdicts = states(validation)
    tried = {name: validation[key] for key, name in _TRIED.items() if key in validation}
    return {
        **{f"{promise}_verdict": verdict for promise, verdict in verdicts.items()},
        "latency_reason": "",
        "drop_upper_percent": validation["drop_percent"],
        "verified_candidates": 1,
        "tried": [{**tried, "verdict": verdicts["latency"], "reason": ""}],
        **validation,
    }


def states(validation: Mapping[str, Any]) -> dict[str, str]:
    """Return whether each promise is "kept", "not kept" or "undecided"."""
    kept = {promise: validation[f"{promise}_kept"] for promise in ("latency", "accuracy")}
    return {name: validation.get(f"{name}_verdict", "kept" if kept[name] else "not kept") for name in kept}


def broken(device: str, validation: Mapping[str, Any], place: Path) -> list[str]:
    """Return a sentence per promise of a budget that its deployed model does not keep; none if it keeps them.

    Each says the figures, and the way out; `place` is the verdict's file, which names what to measure again.
    """
    validation = complete(validation)
    budget, said = validation["budget"], []
    if not validation["latency_kept"]:
        said.append(f"budget {budget} on {device}: {_latency(validation, place)}")
    if not validation["accuracy_kept"]:
        undecided = validation["accuracy_verdict"] == "undecided"
        bounds = (
            f"{validation['drop_percent']:.2f} points of top-1 in int8, up to {validation['drop_upper_percent']:.2f}"
        )
        said.append(
            f"budget {budget} on {device}: on the test split its model loses {bounds} with 95% confidence, which "
            f"{'may be' if undecided else 'is'} more than validation.max_drop_percent allows; the test split chooses "
            "no other model, so allow more, calibrate with more images (export.calibration_images), or test on more"
        )
    return said


def _latency(validation: Mapping[str, Any], place: Path) -> str:
    reason, tried = validation["latency_reason"], len(validation["tried"])
    if validation.get("latency_is") == ESTIMATE:
        if not validation["verified_candidates"]:
            return f"no model keeps it: {reason}"
        closest = f"the closest is estimated at {validation['latency_median_ms']:.4g} ms"
        return f"no model keeps it ({validation['budget_ms']:.4g} ms): {closest}. {_LOOSEN[0].upper()}{_LOOSEN[1:]}"
    if not validation["verified_candidates"]:
        space, of_budget = place.parents[3], place.parent.relative_to(place.parents[2])  # <space>/deploy/<of_budget>
        again = rerun(space / "search" / of_budget / "*" / "timed.json")
        return (
            f"no model keeps it: {reason}. If a disturbance made this verdict, verify again on a quiet device: {again}"
        )
    again = rerun(place.with_name("latency.json"))
    closest = f"the closest of {tried} tried" if tried > 1 else "the only one tried"
    figures = f"({validation['budget_ms']:.4g} ms): {closest} takes up to {validation['latency_upper_ms']:.4g} ms"
    if validation["latency_verdict"] == "undecided":
        return f"undecided whether a model keeps it {figures}; {reason}: {again}"
    return (
        f"no model keeps it {figures}. If a disturbance made this verdict, validate again on a quiet device: {again}; "
        f"else {_LOOSEN}"
    )
