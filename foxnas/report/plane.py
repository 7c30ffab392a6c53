"""The accuracy-latency plane: every measured subnet, the predicted frontier, budgets, candidates, deployed models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import ArrayLike

from foxnas.report.data import BudgetRun, DeviceRun, FittedSpace, Run, SearchedDevice, SearchRun
from foxnas.report.rivals import curves
from foxnas.report.svg import Chart, Margins
from foxnas.space.arch import Arch

#: Latencies spread wider than this are drawn on a logarithmic axis.
LOG_FROM_RATIO = 4.0
#: What a close-up shows around its budget, relative to it.
CLOSE_UP = (0.86, 1.03)

_MEASURED = "top-1 measured in float on the fit split, latency of the int8 probe measured"
_KINDS = {
    "flagged": "latency flagged as not usable, left out of fits; " + _MEASURED,
    "frontier": "both predicted: no architecture is predicted to beat it; nothing here was measured",
    "candidate": "top-1 measured in int8 on the verify split, latency of the exported file measured",
    "rival": "off the shelf: top-1 measured in int8 on the test split, latency measured in the same sessions as the "
    "deployed models'",
    "deployed": "top-1 measured in int8 on the test split, latency of the deployed file measured in new sessions",
}
#: How far a pointer must come, squared: what lies on top is easier to hit, the dense frontier harder.
_WEIGHTS = {"frontier": 6.0, "candidate": 0.5, "rival": 0.5, "deployed": 0.25}


@dataclass(frozen=True)
class Plane:
    """The figure, and what the page's script needs to answer a pointer."""

    svg: Markup
    points: Markup
    kinds: tuple[tuple[str, str, int], ...]
    """(class, name, count) of what can be switched on and off."""


def frontier_of(run: FittedSpace, budget: SearchRun) -> tuple[np.ndarray, np.ndarray]:
    """Return latency (ms) and top-1 (percent) of the frontier, both predicted.

    The frontier is that of the predictors the search used. When those maximise another accuracy than top-1,
    its architectures are placed at the top-1 that the top-1 regressions predict for them.
    """
    return budget.frontier["latency_ms"].to_numpy(), top1_of(run, budget.frontier)[:, 0]


def predicted_top1(run: Run, budget: BudgetRun) -> np.ndarray:
    """Return the predicted top-1 (percent) of the candidates, in the order of `budget.candidates`."""
    return top1_of(run, budget.candidates)[:, 0]


def top1_of(run: FittedSpace, table: pd.DataFrame) -> np.ndarray:
    """Return the predicted top-1 (percent) of a table of predictions, with the ends of its interval: (rows, 3)."""
    if run.searched_for == "top1":
        return table[["accuracy", "accuracy_lower", "accuracy_upper"]].to_numpy(dtype=float)
    return run.top1_predicted([Arch.parse(text) for text in table["arch"]])


class Layers:
    """The plane's groups of points, each with what a pointer is told of it."""

    def __init__(self, device: SearchedDevice, table: pd.DataFrame, all_ms: Sequence[float], all_top1: Any) -> None:
        logarithmic = max(all_ms) / min(all_ms) > LOG_FROM_RATIO
        self.chart = Chart(
            1120, 600, all_ms, all_top1, y_label="top-1, %",
            x_label=f"{device.latency_name} on {device.name}, ms{' (logarithmic)' if logarithmic else ''}",
            title=f"Accuracy against {device.latency_name} of {len(table)} subnets on {device.name}",
            log_x=logarithmic, margins=Margins(left=54, right=14, top=48, bottom=44), margin=0.025,
        )  # fmt: skip
        self._latency = device.latency_name
        self.kinds: list[tuple[str, str, int]] = []
        self._points: list[list[Any]] = []

    def group(self, look: str, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Begin a group; what is drawn up to `end` belongs to it."""
        chart, number = self.chart, len(self.kinds)
        chart.raw(f'<g class="kind" data-kind="{number}">')
        for row in rows:
            px, py = float(chart.x(row["latency_ms"])), float(chart.y(row["top1"]))
            self._points.append([round(px, 1), round(py, 1), number, _short(row["latency_ms"]), _short(row["top1"]),
                                 row["arch"], row.get("note", "")])  # fmt: skip
        self.kinds.append((look, name, len(rows)))

    def end(self) -> None:
        """End a group."""
        self.chart.raw("</g>")

    def subnets(self, run: FittedSpace, table: pd.DataFrame) -> None:
        """Draw every measured subnet, by image size, and those that a device flagged."""
        usable, flagged = table[table["usable"]], table[~table["usable"]]
        for i, size in enumerate(run.sizes):
            dots = usable[usable["image_size"] == size]
            self.group(f"s{i}", f"{size} px", rows_of(dots["latency_ms"], dots["top1_percent"], dots["arch"]))
            self.chart.dots(dots["latency_ms"], dots["top1_percent"], f"subnet s{i}")
            self.end()
        if len(flagged):
            latency_ms, top1 = flagged["latency_ms"], flagged["top1_percent"]
            self.group("flagged", "flagged", rows_of(latency_ms, top1, flagged["arch"], flagged["reason"]))
            self.chart.marks(latency_ms, top1, "flagged", "cross", 3)
            self.end()

    def frontier(self, run: FittedSpace, budget: SearchRun) -> None:
        """Draw the predicted frontier with its interval."""
        front_ms, front_top1 = frontier_of(run, budget)
        self.group("frontier", "predicted frontier", rows_of(front_ms, front_top1, budget.frontier["arch"]))
        # In steps: between two architectures of the frontier there is none.
        self.chart.steps(front_ms, front_top1, "frontier")
        _draw_interval(self.chart, run, budget)
        self.end()

    def plane(self, said: Sequence[str]) -> Plane:
        """Return the figure; `said` is what is to be known of each group."""
        self.chart.raw('<circle class="pointer" r="8" visibility="hidden"/>')
        weights = [_WEIGHTS.get(look, 1.0) for look, _, _ in self.kinds]
        named = [[name, what, weight] for (_, name, _), what, weight in zip(self.kinds, said, weights, strict=True)]
        data = {"points": self._points, "kinds": named, "latency": self._latency}
        return Plane(self.chart.svg("plane", 10, 8), embedded(data), tuple(self.kinds))


def draw_plane(run: Run, device: DeviceRun) -> Plane:
    """Draw everything of one device."""
    table = device.subnets[device.subnets["latency_ms"].notna()]
    front_ms, front_top1 = frontier_of(run, device.budgets[0])
    validated = [budget.validation for budget in device.budgets]
    all_ms = [*table["latency_ms"], *front_ms, *(v["latency_upper_ms"] for v in validated)]
    all_top1 = [*table["top1_percent"], *front_top1, *(v["int8_top1_percent"] for v in validated)]
    networks = curves(device.rivals) if device.rivals else []
    all_ms += [point["latency_ms"] for network in networks for point in network.points]
    all_top1 += [point["test_top1_percent"] for network in networks for point in network.points]
    layers = Layers(device, table, all_ms, all_top1)
    chart = layers.chart
    layers.subnets(run, table)
    layers.frontier(run, device.budgets[0])
    name_budgets(chart, device)
    tried = pd.concat([budget.verified.assign(budget=budget.name) for budget in device.budgets])
    notes = [f"budget {name}, from {source}" for name, source in zip(tried["budget"], tried["source"], strict=True)]
    layers.group(
        "candidate",
        "verified candidates",
        rows_of(tried["latency_ms"], tried["int8_top1_percent"], tried["arch"], notes),
    )
    chart.marks(tried["latency_ms"], tried["int8_top1_percent"], "candidate", "diamond", 5)
    layers.end()
    for network in networks:
        sized = pd.DataFrame(network.points)
        titles = [f"{network.title} at {size} px" for size in sized["image_size"]]
        layers.group("rival", network.title, rows_of(sized["latency_ms"], sized["test_top1_percent"], titles))
        chart.line(sized["latency_ms"], sized["test_top1_percent"], "rival")
        chart.marks(sized["latency_ms"], sized["test_top1_percent"], "rival", "square", 4, titles)
        layers.end()
    last = pd.DataFrame([{**v, "name": b.name} for v, b in zip(validated, device.budgets, strict=True)])
    notes = [f"budget {row['name']}, at most {row['latency_upper_ms']:.4g} ms" for row in last.to_dict("records")]
    rows = rows_of(last["latency_median_ms"], last["int8_top1_percent"], last["arch"], notes)
    layers.group("deployed", "deployed models", rows)
    for v in validated:
        chart.line([v["latency_median_ms"], v["latency_upper_ms"]], [v["int8_top1_percent"]] * 2, "deployed")
    names = [f"deployed, {row['note']}: {row['arch']}" for row in rows]
    chart.marks([r["latency_ms"] for r in rows], [r["top1"] for r in rows], "deployed", "diamond", 8, names)
    layers.end()
    said = [_KINDS.get(look, _MEASURED) for look, _, _ in layers.kinds]
    if device.vela is not None:
        said = [what.replace(" in new sessions", "").replace("file measured", "file estimated by Vela")
                .replace("probe measured", "probe estimated by Vela") for what in said]  # fmt: skip
    return layers.plane(said)


def draw_close_up(run: Run, device: DeviceRun, budget: BudgetRun) -> Markup:
    """Draw the surroundings of one budget: what was predicted of each candidate, and what was measured."""
    low, high = (share * budget.budget_ms for share in CLOSE_UP)
    front_ms, front_top1 = frontier_of(run, budget)
    near = (front_ms >= low) & (front_ms <= high)
    both = budget.candidates.assign(predicted_top1=predicted_top1(run, budget)).merge(
        budget.verified, on="id", suffixes=("_predicted", "")
    )
    v = budget.validation
    all_ms = [*both["latency_ms"], *both["latency_ms_predicted"], *both["latency_upper_ms"], v["latency_upper_ms"],
              low, high]  # fmt: skip
    all_top1 = [*both["predicted_top1"], *both["int8_top1_percent"], v["int8_top1_percent"], *front_top1[near]]
    chart = Chart(
        372, 320, all_ms, all_top1, x_label=f"{device.latency_name}, ms", y_label="top-1, %",
        title=f"Candidates of budget {budget.name}: predicted and {'measured' if device.vela is None else 'estimated'}",
        margins=Margins(left=50, right=10, top=24, bottom=42), margin=0.06,
    )  # fmt: skip
    shown = device.subnets[device.subnets["usable"]]
    for i, size in enumerate(run.sizes):
        rows = shown[shown["image_size"] == size]
        chart.dots(rows["latency_ms"], rows["top1_percent"], f"subnet s{i}")
    chart.steps(front_ms, front_top1, "frontier")
    _draw_interval(chart, run, budget)
    chart.vertical(budget.budget_ms, "budget")
    for row in both.to_dict("records"):
        chart.line(
            [row["latency_ms_predicted"], row["latency_ms"]], [row["predicted_top1"], row["int8_top1_percent"]], "tie"
        )
        chart.line([row["latency_ms"], row["latency_upper_ms"]], [row["int8_top1_percent"]] * 2, "candidate")
    chart.marks(both["latency_ms_predicted"], both["predicted_top1"], "promise", "square", 3.5)
    names = [f"{row['source']}: {row['arch']}" for row in both.to_dict("records")]
    chart.marks(both["latency_ms"], both["int8_top1_percent"], "candidate", "diamond", 5, names)
    won = budget.winner
    chart.marks([won["latency_ms"]], [won["int8_top1_percent"]], "candidate won", "diamond", 5)
    chart.line([v["latency_median_ms"], v["latency_upper_ms"]], [v["int8_top1_percent"]] * 2, "deployed")
    chart.marks([v["latency_median_ms"]], [v["int8_top1_percent"]], "deployed", "diamond", 8, [v["arch"]])
    _name_budget(chart, budget, 16)
    return chart.svg("close-up", 5, 6)


def _draw_interval(chart: Chart, run: FittedSpace, budget: SearchRun) -> None:
    """Draw the 95% prediction interval of the frontier's accuracy: where a measurement is to be expected."""
    for end in top1_of(run, budget.frontier)[:, 1:].T:
        chart.steps(budget.frontier["latency_ms"], end, "frontier-interval")


def embedded(value: Any) -> Markup:
    """Return JSON that may stand inside a script element."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def name_budgets(chart: Chart, device: SearchedDevice) -> None:
    """Draw each budget's line, and its name above it, on a line of its own where the last name is too near."""
    for budget in device.budgets:
        chart.vertical(budget.budget_ms, "budget")
    free_from = [0.0, 0.0, 0.0]
    for budget in sorted(device.budgets, key=lambda budget: budget.budget_ms):
        at, half = float(chart.x(budget.budget_ms)), _half_width(budget)
        line = next((i for i, free in enumerate(free_from) if at - half > free), len(free_from) - 1)
        free_from[line] = at + half
        _name_budget(chart, budget, chart.margins.top - 6 - 14 * line)


def _name_budget(chart: Chart, budget: SearchRun, y: float) -> None:
    """Write a budget's name over its line, as far as it fits into the chart."""
    at, half = float(chart.x(budget.budget_ms)), _half_width(budget)
    chart.text(min(at, chart.width - half), y, _words(budget), "budget-name", "middle", pixels=True)


def _half_width(budget: SearchRun) -> float:
    return 3.6 * len(_words(budget))


def _words(budget: SearchRun) -> str:
    return f"{budget.name}: {budget.budget_ms:.4g} ms"


def rows_of(
    latency_ms: ArrayLike, top1: ArrayLike, archs: Iterable[str], notes: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """Return what the pointer is told of each point of a group."""
    xs, ys = np.asarray(latency_ms, dtype=float).tolist(), np.asarray(top1, dtype=float).tolist()
    rows = [{"latency_ms": x, "top1": y, "arch": arch} for x, y, arch in zip(xs, ys, archs, strict=True)]
    return rows if notes is None else [{**row, "note": note} for row, note in zip(rows, notes, strict=True)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
