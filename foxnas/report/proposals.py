"""Proposals on the page: the plane with predictions in it, and what the user's tables hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foxnas.report.plane import Layers, Plane, frontier_of, name_budgets, rows_of
from foxnas.report.proposed import ProposedRun, TableDevice, TablesRun

_SAID = {
    "frontier": "both predicted: no architecture is predicted to beat it; nothing here was measured",
    "candidate": "both predicted; nothing here was measured",
    "deployed": "proposed: both predicted; nothing here was measured",
}
_BROUGHT = "both as the tables have them"


@dataclass(frozen=True)
class Brought:
    """What the tables hold of one image size: numbers of architectures, and smallest, middle and largest values."""

    image_size: int
    accuracies: int
    top1_percent: tuple[float, float, float]
    latencies: int
    latency_ms: tuple[float, float, float]


def brought(run: TablesRun, device: TableDevice) -> list[Brought]:
    """Return one line per image size."""
    return [
        Brought(
            size, len(run.top1_percent[size]), _range(run.top1_percent[size]), len(device.latencies_ms[size]),
            _range(device.latencies_ms[size]),
        )
        for size in run.sizes
    ]  # fmt: skip


def _range(values: pd.Series) -> tuple[float, float, float]:
    return float(values.min()), float(values.median()), float(values.max())


def best_brought(device: TableDevice, budget: ProposedRun) -> Mapping[str, Any] | None:
    """Return the most accurate architecture of the tables within a budget, as they have it; None where none is."""
    within = device.subnets[device.subnets["latency_ms"] <= budget.budget_ms]
    rows = within.nlargest(1, "top1_percent").to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


def draw_proposals(run: TablesRun, device: TableDevice) -> Plane:
    """Draw the tables' architectures, the predicted frontier, and candidates and proposals where they are predicted."""
    table = device.subnets
    front_ms, front_top1 = frontier_of(run, device.budgets[0])
    tried = pd.concat([budget.candidates.assign(budget=budget.name) for budget in device.budgets])
    proposed = [budget.proposed for budget in device.budgets]
    ends = ("latency_lower_ms", "latency_upper_ms")
    all_ms = [*table["latency_ms"], *front_ms, *tried["latency_ms"], *(one[end] for one in proposed for end in ends)]
    all_ms += [budget.budget_ms for budget in device.budgets]
    layers = Layers(device, table, all_ms, [*table["top1_percent"], *front_top1, *tried["accuracy"]])
    layers.subnets(run, table)
    layers.frontier(run, device.budgets[0])
    name_budgets(layers.chart, device)
    notes = [f"budget {name}, from {source}" for name, source in zip(tried["budget"], tried["source"], strict=True)]
    layers.group("candidate", "candidates", rows_of(tried["latency_ms"], tried["accuracy"], tried["arch"], notes))
    layers.chart.marks(tried["latency_ms"], tried["accuracy"], "candidate", "diamond", 5)
    layers.end()
    last = pd.DataFrame(proposed)
    notes = [f"budget {budget.name}" for budget in device.budgets]
    rows = rows_of(last["latency_ms"], last["accuracy"], last["arch"], notes)
    layers.group("deployed", "proposed architectures", rows)
    for one in proposed:
        layers.chart.line([one[end] for end in ends], [one["accuracy"]] * 2, "deployed")
    names = [f"proposed, {row['note']}: {row['arch']}" for row in rows]
    layers.chart.marks(last["latency_ms"], last["accuracy"], "deployed", "diamond", 8, names)
    layers.end()
    return layers.plane([_SAID.get(look, _BROUGHT) for look, _, _ in layers.kinds])
