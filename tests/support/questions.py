"""A page that answers, from predictors that have no structure to lean on; and what the library answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from jinja2 import DictLoader
from scipy import special

from foxnas.predictor.link import IDENTITY, Link
from foxnas.predictor.model import Predictor, Uncertainty
from foxnas.report.asking import Target, questions
from foxnas.report.costs import cost_fields
from foxnas.report.files import command_for
from foxnas.report.rendering import render
from foxnas.report.targets import TARGET_NAMES
from foxnas.search.landscape import Landscape
from foxnas.space.layers import UnitChoices
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula
from tests.support.published import CPU_SPACE

#: Three units, the second with choices of its own: 7.2e7 architectures.
SPACE = dataclasses.replace(
    CPU_SPACE,
    name="asked",
    image_sizes=(160, 192, 224),
    kernel_sizes=(3, 5, 7),
    expansion_ratios=(2, 3, 6),
    depths=(1, 2, 3),
    units=(
        CPU_SPACE.units[0],
        dataclasses.replace(CPU_SPACE.units[1], depths=(2, 3), expansion_ratios=(2, 6)),
        CPU_SPACE.units[2],
    ),
)
BUDGETS = {"p25": 104.0, "p50": 108.5}

_TEMPLATE = """{% from "asking.html.j2" import asking, scripts with context %}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Questions</title><style>{% include "page.css" %}</style></head>
<body><main><h1>Questions</h1>{{ asking(device) }}</main>{{ scripts() }}</body></html>"""
_LOADER = DictLoader({"questions.html.j2": _TEMPLATE})


def random_predictors(
    space: SearchSpace, form: str, unit: str, seed: int, asymptotes: Sequence[float | None] = ()
) -> dict[int, Predictor]:
    """Return a predictor of every image size with random coefficients and a random covariance."""
    rng, terms = np.random.default_rng(seed), formula(form, space)
    count, found = len(terms.terms), {}
    for size, asymptote in zip(space.image_sizes, asymptotes or (None,) * len(space.image_sizes), strict=True):
        coefficients = rng.normal(0, 0.3, count)
        intercept = 100.0 if unit == "ms" else 50.0
        if asymptote is not None:
            intercept, coefficients = -3.0, coefficients / 12
        root, freedom = rng.normal(0, 0.1, (count + 1, count + 1)), float(rng.integers(200, 400)) + 0.25
        covariance = tuple(map(tuple, (root @ root.T / count).tolist()))
        sure = Uncertainty(float(rng.uniform(0.2, 0.6)), freedom, float(special.stdtrit(freedom, 0.975)), covariance)
        plain = Predictor.published(form, unit, size, terms, intercept, coefficients)
        found[size] = dataclasses.replace(plain, uncertainty=sure, link=Link(asymptote) if asymptote else IDENTITY)
    return found


def write_questions(page: Path, landscape: Landscape, more: Sequence[Target] = ()) -> None:
    """Write a page with nothing but the part that answers."""
    targets = [Target("top-1", landscape.accuracy), Target("latency", landscape.latency), *more]
    command = command_for(landscape.space.name, "board")
    device: dict[str, Any] = {
        "run": SimpleNamespace(name="board", latency_name="latency"),
        "questions": questions(landscape.space, targets, BUDGETS, command),
        "command": command,
        "costs": cost_fields(landscape.space, landscape.space.image_sizes, {}),
        "targets": [(target.name, target.unit) for target in targets],
        "bent": landscape.links.bent,
        "budgets": [{"run": SimpleNamespace(name=name, budget_ms=ms)} for name, ms in BUDGETS.items()],
    }
    run = SimpleNamespace(space=landscape.space, sizes=landscape.space.image_sizes, searched_for="top1")
    render(
        page, "questions.html.j2", None, _LOADER, run=run, device=device,
        devices=[device], target_names=TARGET_NAMES, colours={"light": [], "dark": []},
    )  # fmt: skip


def restricted(landscape: Landscape, sizes: Sequence[int], units: Sequence[UnitChoices]) -> Landscape:
    """Return the landscape with some image sizes only, and fewer choices of each unit."""
    accuracy, latency = ({size: one[size] for size in sizes} for one in (landscape.accuracy, landscape.latency))
    found = Landscape(landscape.space, accuracy, latency, merged=False)
    # What a space of fewer choices would allow, of the units and terms that the predictors were fitted in; these are
    # the same for all questions, and most of the work.
    allowed = [[own.hold(unit) for unit in landscape.orderings] for own in units]
    shared = {"orderings": landscape.orderings, "_formulas": landscape._formulas}
    found.__dict__.update(shared, _allowed_orderings=np.array(allowed))
    return found
