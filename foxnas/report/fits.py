"""The regressions: how good each is, and what it says, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from foxnas.predictor.forms import FORMS, Form
from foxnas.predictor.link import LINKS, LinkName
from foxnas.predictor.linking import fit_key
from foxnas.predictor.model import Predictor
from foxnas.report.chart_tables import ChartTable, fit_tables
from foxnas.report.data import Fits
from foxnas.report.fit_panels import draw_fit, draw_knobs, draw_quantiles, draw_residuals
from foxnas.report.svg import Chart, Margins, Scale, frame, mark
from foxnas.report.targets import difference_unit, unit_of

TERM_NAMES = {
    "D": "D", "E_avg": "mean E", "K_avg": "mean K", "E_first": "E first", "K_first": "K first",
    "E_total": "(D \u2212 1) mean E", "DxE_total": "D (D \u2212 1) mean E",
    "DxE_avg": "D mean E", "DxK_avg": "D mean K",
    "K2_avg": "curvature of K", "K2_first": "curvature of K first",
    "E2_avg": "curvature of E", "E2_first": "curvature of E first",
    "ExK_first": "E \u00d7 K first", "ExK2_first": "E \u00d7 curvature of K first",
    "E_sum": "sum of E", "K_sum": "sum of K", "E2_sum": "sum of curvatures of E", "K2_sum": "sum of curvatures of K",
    "ExK_sum": "sum of E \u00d7 K", "ExK2_sum": "sum of E \u00d7 curvature of K",
}  # fmt: skip


@dataclass(frozen=True)
class FitRow:
    """One line of the table of all fits."""

    image_size: int
    form: Form
    link: LinkName
    together: bool
    chosen: bool
    predictor: Predictor
    ceiling: float | None
    flagged: int


@dataclass(frozen=True)
class Influence:
    """A subnet that moves the fit more than others: its row's diagnostics."""

    id: str
    measured: float
    fitted: float
    studentised: float
    leverage: float
    cooks_distance: float


@dataclass(frozen=True)
class Diagnosis:
    """Everything to be seen of one predictor."""

    image_size: int
    form: str
    predictor: Predictor
    ceiling: float | None
    flagged: int
    unit: str
    difference_unit: str
    figures: tuple[Markup, ...]
    tables: tuple[ChartTable, ...]
    coefficients: tuple[Mapping[str, Any], ...]
    insignificant: int
    collinearity: str
    influential: tuple[Influence, ...]


def fit_rows(fits: Mapping[int, Fits], target: str) -> list[FitRow]:
    """Return the table of all forms and links of one target, by image size."""
    return [
        FitRow(
            size, form, link, together, of_size.chosen == key, of_size.predictors[key], of_size.ceilings.get(target),
            of_size.flagged,
        )
        for size, of_size in fits.items()
        for form in FORMS
        for link in LINKS
        for together in (False, True)
        if (key := fit_key(target, form, link, together)) in of_size.predictors
    ]  # fmt: skip


def draw_overview(fits: Mapping[int, Fits], target: str, name: str) -> Markup:
    """Draw adjusted and cross-validated R^2 of every form over the image sizes, under the noise ceiling."""
    rows = fit_rows(fits, target)
    sizes = sorted({row.image_size for row in rows})
    values = [v for row in rows for v in (_adjusted(row.predictor), _cross_validated(row.predictor))]
    chart = Chart(
        372, 250, [-0.5, len(sizes) - 0.5], [*values, 1.0, *(row.ceiling for row in rows if row.ceiling is not None)],
        x_label="image size, px", y_label="R² (share of variance)", title=f"R² of the fits of {name}",
        margins=Margins(left=60, right=8, top=10, bottom=42), margin=0.03,
    )  # fmt: skip
    places = list(dict.fromkeys((row.form, row.link, row.together) for row in rows))
    places.sort(key=lambda place: (FORMS.index(place[0]), LINKS.index(place[1]), place[2]))
    shift = dict(zip(places, np.linspace(-0.35, 0.35, len(places)), strict=True))
    for i, size in enumerate(sizes):
        of_size = [row for row in rows if row.image_size == size]
        if (ceiling := of_size[0].ceiling) is not None:
            chart.line([i - 0.4, i + 0.4], [ceiling, ceiling], "ceiling")
        for row in of_size:
            x, adjusted, held_out = (
                i + shift[row.form, row.link, row.together],
                _adjusted(row.predictor),
                _cross_validated(row.predictor),
            )
            look = "chosen" if row.chosen else ""
            chart.line([x, x], [held_out, adjusted], f"stem {look}")
            chart.marks([x], [adjusted], f"fit-adjusted {look}", "circle", 3.2, [f"{size} px, {_named(row)}: adjusted"])
            chart.marks([x], [held_out], f"fit-held-out {look}", "circle", 3.2, [f"{size} px, {_named(row)}: held out"])
        chart.text(float(chart.x(i)), 250 - 28, str(size), "tick", "middle", pixels=True)
    return chart.svg("overview", 0, 6)


def _named(row: FitRow) -> str:
    bent = "" if row.link == "identity" else f", {row.link} link"
    return f"{row.form}{bent}{', sizes together' if row.together else ''}"


def link_rows(fits: Mapping[int, Fits]) -> list[Mapping[str, Any]]:
    """Return, for each size with fits under both links in the form of the search, how they compare."""
    found: list[Mapping[str, Any]] = []
    for size, of_size in fits.items():
        keys = [fit_key(of_size.target, of_size.form, link, of_size.together) for link in LINKS]
        plain, bent = (of_size.predictors.get(key) for key in keys)
        if plain and plain.quality and bent and bent.quality:
            errors = plain.quality.rmse_cv, bent.quality.rmse_cv
            found.append(
                {
                    "image_size": size, "used": of_size.predictor.link.name, "asymptote": bent.link.asymptote,
                    "identity": errors[0], "bent": errors[1], "change_percent": 100 * (errors[1] / errors[0] - 1),
                }
            )  # fmt: skip
    return found


def pooling(fits: Mapping[int, Fits]) -> Mapping[str, Any] | None:
    """Return how the sizes' predictors of the search were fitted together; None where each was fitted apart."""
    predictors = [of_size.predictor for of_size in fits.values()]
    found = predictors[0].pooling
    if found is None:
        return None
    effective = [one.quality.effective_parameters for one in predictors if one.quality]
    return {
        "sizes": len(found.image_sizes), "rows": found.rows, "effective": float(np.mean(effective)),
        "penalties": ", ".join(f"{penalty:.2g}" for penalty in found.penalties),
    }  # fmt: skip


def diagnose(fits: Fits, image_size: int, file: str) -> Diagnosis:
    """Return everything to be seen of the predictor that the search used; `file` is a link to where it is."""
    predictor = fits.predictor
    statistics, quality = predictor.statistics, predictor.quality
    assert statistics
    assert quality
    return Diagnosis(
        image_size=image_size,
        form=fits.form,
        predictor=predictor,
        ceiling=fits.ceilings.get(fits.target),
        flagged=fits.flagged,
        unit=unit_of(predictor.unit),
        difference_unit=difference_unit(predictor.unit),
        figures=(draw_fit(predictor), draw_residuals(predictor), draw_quantiles(predictor), draw_knobs(predictor)),
        tables=fit_tables(predictor, (file,)),
        coefficients=tuple(_coefficients(predictor)),
        insignificant=sum(p > 0.05 for p in statistics.p),
        collinearity=_collinearity(predictor, "the blocks" if fits.blocks else "other devices' regressions"),
        influential=_influential(predictor),
    )


def _collinearity(predictor: Predictor, told_by: str) -> str:
    """Say in plain words how far the terms' collinearity blurs single coefficients.

    `told_by` is what a fit starts from that has fewer rows than terms.
    """
    statistics, quality = predictor.statistics, predictor.quality
    assert statistics
    assert quality
    if quality.rows <= len(predictor.formula.terms):
        return (
            f"{quality.rows} subnets cannot tell {len(predictor.formula.terms)} terms apart: which of them matter is "
            f"what {told_by} say, and intervals hold as far as this device is like them."
        )
    worst = int(np.argmax(statistics.variance_inflation))
    kind, _, unit = predictor.formula.terms[worst].rpartition("_")
    inflation = statistics.variance_inflation[worst]
    drawn = (
        f", shrinkage taken into account ({quality.effective_parameters:.0f} effective parameters of "
        f"{len(predictor.formula.terms) + 1})" if quality.shrinkage else ""
    )  # fmt: skip
    return (
        f"Condition number of the standardised terms: {quality.condition_number_standardised:.0f}, which is how many "
        "times less precisely the vaguest combination of terms is known than the clearest. The largest variance "
        f"inflation, {inflation:.1f}, is that of {TERM_NAMES[kind]} in unit {unit}: its coefficient's interval is "
        f"{np.sqrt(inflation):.1f} times as wide as if no other term moved with it{drawn}."
    )


def _influential(predictor: Predictor, count: int = 3) -> tuple[Influence, ...]:
    """Return the subnets without which the fit would move most (Cook's distance), the first first."""
    rows = predictor.rows
    assert rows
    first = np.argsort(rows.cooks_distance)[::-1][:count]
    return tuple(
        Influence(
            rows.id[i], rows.measured[i], rows.fitted[i], rows.studentised[i], rows.leverage[i], rows.cooks_distance[i]
        )
        for i in first
    )


def _coefficients(predictor: Predictor) -> list[Mapping[str, Any]]:
    """Return the coefficient table; standardised effects share one scale."""
    statistics, quality, uncertainty = predictor.statistics, predictor.quality, predictor.uncertainty
    assert statistics
    assert quality
    assert uncertainty
    spread = np.asarray(statistics.standard_deviation)
    worth = spread * predictor.mean_slope
    effect = np.asarray(predictor.coefficients) * worth
    half = uncertainty.t_95 * np.asarray(statistics.standard_error) * worth
    scale = Scale.around([*(effect - half), *(effect + half), 0.0], 4, 196)
    rows: list[Mapping[str, Any]] = [
        {
            "term": "intercept", "unit": None, "value": predictor.intercept,
            "standard_error": quality.intercept_standard_error, "t": quality.intercept_t, "p": quality.intercept_p,
            "inflation": None, "effect": None, "lower": None, "upper": None, "figure": "",
        }
    ]  # fmt: skip
    for i, name in enumerate(predictor.formula.terms):
        kind, _, unit = name.rpartition("_")
        ends = scale([effect[i] - half[i], effect[i] + half[i]])
        sure = "" if abs(effect[i]) < half[i] else "sure"
        drawn = (
            f'<path class="grid" d="M{float(scale(0)):.1f} 0V16"/>'
            f'<path class="line whisker {sure}" d="M{ends[0]:.1f} 8H{ends[1]:.1f}"/>'
            f'<path class="mark knob {sure}" d="{mark("circle", float(scale(effect[i])), 8, 2.8)}"/>'
        )
        lower, upper = effect[i] - half[i], effect[i] + half[i]
        said = f"{effect[i]:+.3g}, 95% interval {lower:+.3g} to {upper:+.3g}"
        rows.append(
            {
                "term": TERM_NAMES[kind], "unit": unit, "value": predictor.coefficients[i],
                "standard_error": statistics.standard_error[i], "t": statistics.t[i], "p": statistics.p[i],
                "inflation": statistics.variance_inflation[i], "effect": effect[i],
                "lower": lower, "upper": upper,
                "figure": frame(200, 16, drawn, said, "cell"),
            }
        )  # fmt: skip
    return rows


def _adjusted(predictor: Predictor) -> float:
    assert predictor.quality
    return predictor.quality.adjusted_r2


def _cross_validated(predictor: Predictor) -> float:
    assert predictor.quality
    return predictor.quality.r2_cv
