"""Tables behind charts: what a chart draws, packed for the page's script, which makes a table of it when asked to.

A table in HTML would be several times its numbers; `templates/tables.js` says how they are read.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from foxnas.predictor.model import Predictor
from foxnas.report.data import SearchRun
from foxnas.report.effects import KNOBS, knob_effects
from foxnas.report.fit_panels import normal_quantiles
from foxnas.report.plane import embedded
from foxnas.report.targets import difference_unit, name_of, unit_of


@dataclass(frozen=True)
class ChartTable:
    """The numbers of one or several charts, and the files they are made from, relative to the page."""

    summary: str
    columns: Markup
    files: tuple[str, ...]


def link(path: Path, page: Path) -> str:
    """Return a link from a page to a file."""
    return Path(os.path.relpath(path, page.parent)).as_posix()


def fit_tables(predictor: Predictor, files: tuple[str, ...]) -> tuple[ChartTable, ...]:
    """Return the tables of the panels beside a fit: one row for each subnet, and one for each knob of a unit."""
    rows, unit, points = predictor.rows, unit_of(predictor.unit), difference_unit(predictor.unit)
    assert rows
    quantiles = np.empty(len(rows.id))
    quantiles[np.argsort(rows.studentised)] = normal_quantiles(len(rows.id))
    effects, fitted = knob_effects(predictor), f"{name_of(predictor.target)} at {predictor.image_size} px"
    subnets = [
        _words("subnet", rows.id),
        _floats(f"measured, {unit}", rows.measured),
        _floats(f"predicted, {unit}", rows.fitted),
        _floats(f"cross-validated prediction, {unit}", rows.held_out),
        _floats(f"residual, {points}", rows.residual),
        _floats("studentised residual, sd", rows.studentised),
        _floats("normal quantile, sd", quantiles),
    ]
    knobs = [
        _words("knob", [f"{KNOBS[effect.knob]}, unit {effect.unit}" for effect in effects]),
        *(_floats(f"{name}, {points}", [getattr(effect, key) for effect in effects])
          for name, key in (("effect", "value"), ("lower end of its 95% interval", "lower"), ("upper end", "upper"))),
    ]  # fmt: skip
    return (
        ChartTable(f"Fit of {fitted} as a table: {len(rows.id)} subnets", embedded(subnets), files),
        ChartTable(f"Which knob matters for {fitted}, as a table", embedded(knobs), files),
    )


def trace_table(budget: SearchRun, accuracy: str, latency: str, files: tuple[str, ...]) -> ChartTable:
    """Return the table of the traces of a budget, all rounds and reserves."""
    trace = budget.trace.sort_values(["round", "reserve_percent", "calls"], kind="stable")
    columns = [
        _floats("round", [int(name.removeprefix("round-")) for name in trace["round"]]),
        _floats("reserve, %", trace["reserve_percent"]),
        _floats("predictor calls", trace["calls"]),
        _floats(f"current state, {accuracy}", trace["current"]),
        _floats(f"best so far, {accuracy}", trace["best"]),
        _floats(f"predicted {latency} of the current state, ms", trace["latency_ms"]),
        _floats("temperature", trace["temperature"]),
        _floats("phase of the weights", trace["phase"]),
    ]
    return ChartTable(f"Traces of {budget.name} as a table: {len(trace)} states", embedded(columns), files)


def _floats(name: str, values: ArrayLike) -> Mapping[str, Any]:
    """Return a column of numbers in single precision: seven digits, of which the page shows five."""
    packed = np.asarray(values, dtype="<f4").tobytes()
    return {"name": name, "floats": base64.b64encode(packed).decode("ascii")}


def _words(name: str, values: Iterable[str]) -> Mapping[str, Any]:
    return {"name": name, "words": list(values)}
