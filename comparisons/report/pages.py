"""The two pages, each one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import PackageLoader
from markupsafe import Markup

from comparisons.report.contenders import DRAWN, Comparison
from comparisons.report.strategies import LOOKS, draw_strategies
from comparisons.strategies.against_random import FOUND_COLUMNS, relative_improvement
from foxnas.accuracy.outcomes import TARGETS
from foxnas.cli import MadeBy
from foxnas.files.tables import read_json, read_table
from foxnas.report.rendering import render
from foxnas.report.targets import name_of


@dataclass(frozen=True)
class Budget:
    """What all strategies found under one budget: figure 8 of the paper, and a row per strategy."""

    name: str
    figure: Markup
    improvements: list[dict[Hashable, Any]]


def read_budget(
    limit: Path, trace: Path, found: Path, accuracy: Path, latency: Path, random: pd.DataFrame, target: str
) -> Budget:
    """Return what the page shows of one budget; `random` are the measured subnets of the sample."""
    budget, column = read_json(limit), TARGETS[target]
    measured = read_table(accuracy, ["id", column]).merge(read_table(latency, ["id", "latency_ms"]), on="id")
    rows = relative_improvement(read_table(found, FOUND_COLUMNS), measured, random, column, budget["budget_ms"])
    steps = read_table(trace, ["strategy", "seed", "calls", "best"])
    return Budget(
        budget["name"], draw_strategies(steps, budget["name"], f"{name_of(target)}, %"), rows.to_dict("records")
    )


def write_strategies(
    page: Path, made_by: MadeBy, space: str, target: str, found: Mapping[str, Sequence[Budget]]
) -> None:
    """Write the page of what the strategies found, by device."""
    _render(
        page, "strategies.html.j2", made_by, space, list(found), found=found, accuracy=name_of(target), strategies=LOOKS
    )


def write_predictors(
    page: Path, made_by: MadeBy, space: str, devices: Sequence[str], compared: Sequence[Comparison]
) -> None:
    """Write the page of the predictors."""
    _render(page, "predictors.html.j2", made_by, space, devices, compared=compared, contenders=DRAWN)


def _render(page: Path, template: str, made_by: MadeBy, space: str, devices: Sequence[str], **values: Any) -> None:
    # Neither page colours anything by image size.
    colours: dict[str, list[str]] = {"light": [], "dark": []}
    render(
        page,
        template,
        made_by,
        PackageLoader("comparisons.report"),
        space=space,
        devices=devices,
        colours=colours,
        **values,
    )
