"""Rows of the table of all models that were compared: deployed ones and networks off the shelf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foxnas.int8.scored import COLUMNS
from foxnas.rivals.comparison import Point

#: Of the column `model`, where it is no network off the shelf.
OURS = "ours"


def row_of(
    point: Point,
    weights: str,
    costs: Mapping[str, Any],
    verify: Mapping[str, float],
    latency: Mapping[str, Any],
    classes: Mapping[str, Any],
    *,
    ours: bool,
) -> dict[str, Any]:
    """Return the row of a model.

    `costs` has its architecture and what it costs, `verify` is of `Scored.percent` on the verify split, `latency` of
    `ModelLatency`, `classes` of `over_classes`.
    """
    return {
        "model": OURS if ours else point.name,
        "budget": point.name if ours else None,
        "weights": weights,
        "image_size": point.image_size,
        "arch": costs["arch"],
        "latency_ms": point.latency_ms,
        "latency_upper_ms": latency["upper_ms"],
        "verify_top1_percent": verify[COLUMNS["top1"]],
        "verify_probability_percent": verify[COLUMNS["probability"]],
        "test_top1_percent": point.test_percent,
        "test_mean_class_percent": classes["mean_class_percent"],
        "test_worst_class": classes["worst_class"]["label"],
        "test_worst_class_percent": classes["worst_class"]["recall_percent"],
        "parameters": costs["parameters"],
        "macs": costs["macs"],
        "model_bytes": costs["model_bytes"],
    }
