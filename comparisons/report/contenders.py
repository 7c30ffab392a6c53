"""Our regressions beside other people's predictors, on subnets that none has seen: a table and small multiples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from foxnas.report.svg import Chart, Margins

#: What is drawn, in the order of the legend, and the class that colours it; the table has all.
DRAWN = {
    "chosen": "c-ours",
    "boosted trees": "c-trees",
    "neural network": "c-network",
    "one-hot ridge": "c-ridge",
    "lookup table": "c-table",
}
_ERRORS_DRAWN_TO = 1.1

#: Columns of a table of scores.
SCORES = [
    "image_size", "predictor", "repeat", "requested_subnets", "training_subnets", "held_out_subnets", "mae", "rmse",
    "tau", "relative_rmse", "training_rmse", "fit_seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """One predictor's row of the table: means over image sizes and repeats, one entry a number of subnets.

    None where the predictor does not determine its coefficients from so few.
    """

    name: str
    used: bool
    rmse_percent: tuple[float | None, ...]
    """Of the standard deviation of what was measured, which a predictor that knows nothing but the mean has."""
    tau: tuple[float | None, ...]
    mae: float
    rmse: float
    training_rmse: float
    fit_milliseconds: float
    best: bool
    """Whether no other has a smaller error at the largest number of subnets."""


@dataclass(frozen=True)
class Comparison:
    """The contenders of one target."""

    target: str
    device: str | None
    """Where it was measured, unless that makes no difference."""
    unit: str
    counts: tuple[str, ...]
    """Numbers of subnets learnt from, as they came out."""
    repeats: int
    held_out: int
    """Predictions of subnets that were not learnt from, per predictor and number of subnets."""
    standings: tuple[Standing, ...]
    errors: tuple[Markup, ...]
    agreements: tuple[Markup, ...]


def compare(scores: pd.DataFrame, target: str, device: str | None, unit: str, used: str) -> Comparison:
    """Return what the page shows of a table of scores; `used` is the form that the search used."""
    means = scores.groupby(["predictor", "requested_subnets"], sort=False).mean(numeric_only=True)
    counts = sorted(scores["requested_subnets"].unique())
    names = list(scores["predictor"].unique())
    # A form that some numbers of subnets do not allow appears late; ours come first all the same.
    names.sort(key=lambda name: name in DRAWN)
    last = means.xs(counts[-1], level="requested_subnets")
    best = last["relative_rmse"].idxmin()

    def each(name: str, column: str, factor: float = 1.0) -> tuple[float | None, ...]:
        return tuple(
            float(means.loc[(name, count), column]) * factor if (name, count) in means.index else None
            for count in counts
        )

    standings = tuple(
        Standing(
            name=name,
            used=name == used,
            rmse_percent=each(name, "relative_rmse", 100),
            tau=each(name, "tau"),
            mae=float(last.loc[name, "mae"]),
            rmse=float(last.loc[name, "rmse"]),
            training_rmse=float(last.loc[name, "training_rmse"]),
            fit_milliseconds=1000 * float(last.loc[name, "fit_seconds"]),
            best=name == best,
        )
        for name in names
        if name in last.index
    )
    sizes = sorted(scores["image_size"].unique())
    one = scores[scores["predictor"] == best]
    learnt = scores.groupby("requested_subnets")["training_subnets"].max()
    return Comparison(
        target=target,
        device=device,
        unit=unit,
        counts=tuple(str(learnt[count]) for count in counts),
        repeats=int(scores["repeat"].nunique()),
        held_out=int(one[one["requested_subnets"] == counts[-1]]["held_out_subnets"].sum()),
        standings=standings,
        errors=tuple(_panel(scores, size, "relative_rmse", used, not i) for i, size in enumerate(sizes)),
        agreements=tuple(_panel(scores, size, "tau", used, not i) for i, size in enumerate(sizes)),
    )


def _panel(scores: pd.DataFrame, size: int, column: str, used: str, first: bool) -> Markup:
    of_size = scores[scores["image_size"] == size]
    means = of_size.groupby(["predictor", "training_subnets"])[column].mean()
    counts = sorted(of_size["training_subnets"].unique())
    label = ("held-out RMSE / sd" if column == "relative_rmse" else "Kendall's tau") if first else ""
    chart = Chart(
        164 if first else 148, 166, [0, counts[-1]], [0, _ERRORS_DRAWN_TO] if column == "relative_rmse" else [0, 1],
        x_label="subnets", y_label=label, title=f"{column} at {size} px against number of training subnets",
        margins=Margins(left=48 if first else 30, right=6, top=16, bottom=34), margin=0.02,
    )  # fmt: skip
    chart.text(chart.margins.left, 11, f"{size} px", "panel-title", pixels=True)
    if column == "relative_rmse":
        chart.horizontal(1, "even")
    for name, look in reversed(DRAWN.items()):
        which = used if name == "chosen" else name
        if which not in means.index.get_level_values("predictor"):
            continue
        line = means[which]
        x, y = line.index.to_numpy(dtype=float), np.asarray(line.to_numpy(dtype=float))
        chart.line(x, y, look)
        chart.marks(
            x, y, look, "circle", 2.2, [f"{which}, {int(n)} subnets: {v:.3f}" for n, v in zip(x, y, strict=True)]
        )
    return chart.svg("multiple", 3, 4)
