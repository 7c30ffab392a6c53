"""Promises that no model keeps, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Of a verdict of 0.1.0, which tried one candidate and left nothing undecided.
_OLD = {"tried": [{}], "verified_candidates": 1, "latency_reason": ""}


def states(validation: Mapping[str, Any]) -> dict[str, str]:
    """Return whether each promise is "kept", "not kept" or "undecided"."""
    kept = {promise: validation[f"{promise}_kept"] for promise in ("latency", "accuracy")}
    return {name: validation.get(f"{name}_verdict", "kept" if kept[name] else "not kept") for name in kept}


def broken(device: str, validation: Mapping[str, Any]) -> list[str]:
    """Return a sentence per promise of a budget that its deployed model does not keep; none if it keeps them.

    Each says the figures, and the way out.
    """
    verdicts, validation = states(validation), {**_OLD, "drop_upper_percent": validation["drop_percent"], **validation}
    budget, said = validation["budget"], []
    if not validation["latency_kept"]:
        said.append(f"budget {budget} on {device}: {_latency(device, validation, verdicts['latency'])}")
    if not validation["accuracy_kept"]:
        undecided = verdicts["accuracy"] == "undecided"
        bounds = (
            f"{validation['drop_percent']:.2f} points of top-1 in int8, up to {validation['drop_upper_percent']:.2f}"
        )
        said.append(
            f"budget {budget} on {device}: on the test split its model loses {bounds} with 95% confidence, which "
            f"{'may be' if undecided else 'is'} more than validation.max_drop_percent allows; the test split chooses "
            "no other model, so allow more, calibrate with more images (export.calibration_images), or test on more"
        )
    return said


def _latency(device: str, validation: Mapping[str, Any], verdict: str) -> str:
    budget, reason, tried = validation["budget"], validation["latency_reason"], len(validation["tried"])
    again = f"the same command with `--forcerun results/*/deploy/{device}/{budget}/latency.json`"
    if not validation["verified_candidates"]:
        again = f"the same command with `--forcerun results/*/search/{device}/{budget}/*/timed.json`"
        return (
            f"no model keeps it: {reason}. If a disturbance made this verdict, verify again on a quiet device: {again}"
        )
    closest = f"the closest of {tried} tried" if tried > 1 else "the only one tried"
    figures = f"({validation['budget_ms']:.4g} ms): {closest} takes up to {validation['latency_upper_ms']:.4g} ms"
    if verdict == "undecided":
        return f"undecided whether a model keeps it {figures}; {reason}: {again}"
    return (
        f"no model keeps it {figures}. If a disturbance made this verdict, validate again on a quiet device: {again}; "
        "else raise the budget, or add a larger value to search.reserves_percent"
    )
