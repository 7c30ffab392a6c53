"""The panels beside a fit: whether its residuals look as they should, and what every knob is worth."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from markupsafe import Markup

from foxnas.predictor.model import Predictor
from foxnas.report.effects import KNOBS, knob_effects
from foxnas.report.svg import Chart, Margins, Scale, frame, mark, text
from foxnas.report.targets import difference_unit, name_of, unit_of


def draw_fit(predictor: Predictor) -> Markup:
    """Draw measured against fitted values, and against those of folds that did not see them."""
    rows, unit = predictor.rows, unit_of(predictor.unit)
    assert rows
    every = [*rows.fitted, *rows.measured]
    chart = _panel(
        predictor, every, every, f"predicted {name_of(predictor.target)}, {unit}", f"measured, {unit}",
        "Measured against predicted",
    )  # fmt: skip
    limits = [chart.x.low, chart.x.high]
    chart.line(limits, limits, "even")
    chart.dots(rows.held_out, rows.measured, "held-out")
    chart.dots(rows.fitted, rows.measured, "row")
    return chart.svg("panel", 5, 5)


def draw_residuals(predictor: Predictor) -> Markup:
    """Draw residuals against fitted values: a bend or a funnel says that the form is wrong."""
    rows, unit, points = predictor.rows, unit_of(predictor.unit), difference_unit(predictor.unit)
    assert rows
    chart = _panel(
        predictor, rows.fitted, rows.residual, f"predicted {name_of(predictor.target)}, {unit}",
        f"residual, {points}", "Residuals against predicted",
    )  # fmt: skip
    chart.horizontal(0, "even")
    chart.dots(rows.fitted, rows.residual, "row")
    return chart.svg("panel", 5, 5)


def draw_quantiles(predictor: Predictor) -> Markup:
    """Draw studentised residuals against the quantiles of a normal distribution."""
    rows = predictor.rows
    assert rows
    ordered = np.sort(rows.studentised)
    expected = normal_quantiles(len(ordered))
    chart = _panel(
        predictor, expected, [*ordered, *expected], "normal quantile, sd", "studentised residual, sd", "Normal Q-Q"
    )
    limits = [chart.x.low, chart.x.high]
    chart.line(limits, limits, "even")
    chart.dots(expected, ordered, "row")
    return chart.svg("panel", 5, 5)


def normal_quantiles(count: int) -> np.ndarray:
    """Return what so many values of a standard normal distribution are expected to be, ascending."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])


def draw_knobs(predictor: Predictor) -> Markup:
    """Draw what every knob is worth, grouped by knob, one row per unit."""
    effects = knob_effects(predictor)
    knobs = list(dict.fromkeys(effect.knob for effect in effects))
    width, left, right, top, bottom, step = 350.0, 124.0, 340.0, 26.0, 40.0, 9.0
    height = top + bottom + step * (len(effects) + 0.6 * (len(knobs) - 1))
    ends = [0.0, *(e.lower for e in effects), *(e.upper for e in effects)]
    scale = Scale.around(ends, left, right)
    parts = []
    for tick in scale.ticks(5):
        at = float(scale(tick))
        parts.append(f'<path class="grid" d="M{at:.1f} {top - 4:g}V{height - bottom + 2:.1f}"/>')
        parts.append(text(at, height - bottom + 15, f"{tick:g}", "tick", "middle"))
    zero = float(scale(0))
    parts.append(f'<path class="line even" d="M{zero:.1f} {top - 4:g}V{height - bottom + 2:.1f}"/>')
    y = top
    for number, effect in enumerate(effects):
        if number and effect.knob != effects[number - 1].knob:
            y += 0.6 * step
        if not number or effect.knob != effects[number - 1].knob:
            units = sum(other.knob == effect.knob for other in effects)
            middle = y + step * (units - 1) / 2 + 3.5
            parts.append(text(left - 24, middle, KNOBS[effect.knob], "tick", "end"))
        parts.append(text(left - 8, y + 3, str(effect.unit), "tick small", "end"))
        ends_at = scale([effect.lower, effect.upper])
        look = "" if effect.lower <= 0 <= effect.upper else "sure"
        interval = f"{effect.lower:+.3g} to {effect.upper:+.3g}"
        said = f"{KNOBS[effect.knob]}, unit {effect.unit}: {effect.value:+.3g} ({interval})"
        parts.append(f'<path class="line whisker {look}" d="M{ends_at[0]:.1f} {y:.1f}H{ends_at[1]:.1f}"/>')
        parts.append(
            f'<path class="mark knob {look}" d="{mark("circle", float(scale(effect.value)), y, 2.6)}">'
            f"<title>{said}</title></path>"
        )
        y += step
    parts.append(text(left, 11, "Which knob matters", "panel-title", "start"))
    unit = difference_unit(predictor.unit)
    parts.append(text((left + right) / 2, height - 6, f"smallest to largest choice, {unit}", "label", "middle"))
    parts.append(text(left - 8, 11, "unit", "tick small", "end"))
    return frame(width, height, "".join(parts), "Effect of each knob with its 95% interval", "panel")


def _panel(predictor: Predictor, x: Any, y: Any, x_label: str, y_label: str, title: str) -> Chart:
    chart = Chart(
        262, 304, x, y, x_label=x_label, y_label=y_label,
        title=f"{title}: {name_of(predictor.target)} at {predictor.image_size} px",
        margins=Margins(left=52, right=8, top=18, bottom=40),
    )  # fmt: skip
    chart.text(52, 11, title, "panel-title", pixels=True)
    return chart
