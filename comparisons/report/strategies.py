"""Figure 8 of the paper for the user's own run: what each strategy had found after a number of predictor calls."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from foxnas.report.svg import Chart, FloatArray, Margins, polyline

#: Classes of the style sheet, which colours lines, bands and the legend by them.
LOOKS = {
    "annealing": "s-annealing",
    "annealing, unguided": "s-unguided",
    "evolution": "s-evolution",
    "regularised": "s-regularised",
    "differentiable": "s-differentiable",
    "autoshrink": "s-autoshrink",
    "random": "s-random",
}

#: Calls at which the figure begins: before, every strategy is still collecting its first architectures.
_FIRST = 30


def draw_strategies(table: pd.DataFrame, budget: str, accuracy: str) -> Markup:
    """Draw best so far over predictor calls: the median over the seeds, and the band from the worst to the best.

    `table` has what each strategy and seed had found after so many calls: strategy, seed, calls, best.
    """
    (optimum,) = table.loc[table["strategy"] == "exact", "best"]
    table = table[table["strategy"] != "exact"]
    last = float(table["calls"].max())
    calls = np.geomspace(_FIRST, max(last, 2 * _FIRST), 120)
    found = {name: best_so_far(table[table["strategy"] == name], calls) for name in LOOKS}
    floor = min(float(np.nanquantile(values, 0.1)) for values in found.values() if not np.isnan(values).all())
    chart = Chart(
        560, 320, [calls[0], calls[-1]], [floor, optimum + 0.06 * (optimum - floor)],
        x_label="predictor calls", y_label=f"best predicted {accuracy}", log_x=True,
        title=f"Strategies under budget {budget}", margins=Margins(left=64, right=10, top=28, bottom=42),
        margin=0.01,
    )  # fmt: skip
    for name, values in found.items():
        known = ~np.isnan(values).any(axis=0)
        if known.any():
            x, low, high = chart.x(calls[known]), values[:, known].min(axis=0), values[:, known].max(axis=0)
            outline = polyline(np.r_[x, x[::-1]], np.r_[chart.y(high), chart.y(low)[::-1]])
            chart.raw(f'<path class="band {LOOKS[name]}" d="{outline}z"/>')
    for name, values in found.items():
        known = ~np.isnan(values).any(axis=0)
        if known.any():
            chart.line(calls[known], np.median(values[:, known], axis=0), LOOKS[name])
    chart.horizontal(optimum, "optimum")
    seeds = table["seed"].nunique()
    title = f"{budget}, smallest reserve, {seeds} seed{'s' if seeds > 1 else ''}"
    chart.text(64, 16, title, "panel-title", pixels=True)
    return chart.svg()


def best_so_far(table: pd.DataFrame, calls: FloatArray) -> FloatArray:
    """Return the best value of each seed after each number of calls; NaN before its first."""
    rows = []
    for _, run in table.groupby("seed"):
        run = run.sort_values("calls", kind="stable")
        at = np.searchsorted(run["calls"].to_numpy(), calls, side="right") - 1
        rows.append(np.where(at < 0, np.nan, run["best"].to_numpy()[np.maximum(at, 0)]))
    return np.array(rows).reshape(-1, len(calls))
