"""Traces of annealing: its state, the best it had seen, and the proven optimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from foxnas.report.data import SearchRun
from foxnas.report.svg import Chart, Margins

#: Top and bottom, in pixels, of the strip above the plot that shows the temperature.
_STRIP = (24.0, 46.0)


def draw_trace(budget: SearchRun, certificate: Mapping[str, Any], accuracy: str) -> Markup:
    """Draw one run of the annealing: the objective over predictor calls, and the temperature above."""
    reserve = certificate["reserve_percent"]
    own = (budget.trace["reserve_percent"] == reserve) & (budget.trace["round"] == certificate["round"])
    trace = budget.trace[own].sort_values("calls")
    calls, optimum = trace["calls"].to_numpy() / 1000, certificate["optimum_value"]
    top = float(trace["best"].max()) if optimum is None else optimum
    named = "accuracy-under-latency"
    objective = f"predicted {accuracy}" if certificate["objective"] == named else f"goal: {certificate['objective']}"
    current = trace["current"].to_numpy()
    # The climb from a random start is many times what follows it, and would flatten that.
    floor = float(np.quantile(current, 0.05))
    chart = Chart(
        560, 340, [0, calls.max()], [floor, top + 0.06 * (top - floor)],
        x_label="predictor calls, thousands", y_label=objective,
        title=f"Search trace of budget {budget.name}, reserve {reserve:g}%",
        margins=Margins(left=64, right=10, top=54, bottom=42), margin=0.015,
    )  # fmt: skip
    _shade_second_phase(chart, calls, trace["phase"].to_numpy())
    chart.line(calls, current, "current")
    chart.steps(calls, trace["best"], "best")
    if optimum is not None:
        chart.horizontal(optimum, "optimum")
    title = f"{budget.name}, reserve {reserve:g}%: predicted latency at most {certificate['cap_ms']:.4g} ms"
    chart.text(64, 14, title, "panel-title", pixels=True)
    _draw_temperature(chart, calls, trace)
    return chart.svg("trace", 7, 6)


def _shade_second_phase(chart: Chart, calls: np.ndarray, phase: np.ndarray) -> None:
    changes = np.flatnonzero(np.diff(phase)) + 1
    top, bottom = chart.margins.top, chart.height - chart.margins.bottom
    for start, stop in zip(np.r_[0, changes], np.r_[changes, len(phase) - 1], strict=True):
        if phase[start] == 2:
            left, right = chart.x([calls[start], calls[stop]])
            width = right - left
            chart.raw(f'<rect class="phase" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{bottom - top}"/>')


def _draw_temperature(chart: Chart, calls: np.ndarray, trace: pd.DataFrame) -> None:
    temperature, (top, bottom) = trace["temperature"].to_numpy(), _STRIP
    hottest = max(float(temperature.max()), 1.0)
    xs = np.repeat(chart.x(calls), 2)[1:]
    ys = np.repeat(bottom - temperature / hottest * (bottom - top), 2)[:-1]
    line = "".join(f"L{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
    chart.raw(f'<path class="temperature" d="M{xs[0]:.1f} {bottom}{line}L{xs[-1]:.1f} {bottom}z"/>', outside=True)
    chart.text(58, top + 8, f"T = {hottest:g}", "tick", "end", pixels=True)
    chart.text(58, bottom, "0", "tick", "end", pixels=True)
