"""Leads over the two baselines: a table whose last column is a forest plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from foxnas.report.numbers import signed
from foxnas.report.svg import Scale, frame, mark, text

#: The rivals, by their keys in the comparison's file.
RIVALS = {"best_measured": "best of the measured subnets", "random_search": "random search"}
_WIDTH, _HEIGHT = 300, 22


@dataclass(frozen=True)
class Lead:
    """Ours minus a rival's float top-1 on the test split, in points; `top1_percent` are None for an average."""

    budget: str
    rival: str
    ours_percent: float | None
    rival_percent: float | None
    points: float
    lower: float
    upper: float
    figure: Markup

    @property
    def verdict(self) -> str:
        """What the interval allows to say."""
        if self.lower > 0:
            return "better"
        return "worse" if self.upper < 0 else "not distinguishable"


def leads(baselines: Mapping[str, Any]) -> tuple[list[Lead], Markup]:
    """Return every lead with its row of the forest plot, averages last, and the plot's axis."""
    found: list[tuple[str, str, float | None, list[float], Mapping[str, float]]] = []
    for row in baselines["budgets"]:
        for rival in RIVALS:
            scored = row[rival]["top1_percent"]
            each = list(scored) if isinstance(scored, list) else [scored]
            found.append((row["budget"], rival, row["ours"]["top1_percent"], each, row[rival]["lead"]))
    found += [("average", rival, None, [], baselines["average"][rival]) for rival in RIVALS]
    ends = [0.0, *(end for *_, lead in found for end in (lead["lower"], lead["upper"]))]
    ends += [ours - score for _, _, ours, each, _ in found if ours is not None for score in each]
    scale = Scale.around(ends, 6, _WIDTH - 6)
    rows = [
        Lead(
            budget, rival, ours, sum(each) / len(each) if each else None, lead["points"], lead["lower"], lead["upper"],
            _row(scale, ours, each, lead, budget == "average"),
        )
        for budget, rival, ours, each, lead in found
    ]  # fmt: skip
    axis = [f'<path class="axis" d="M0 1H{_WIDTH}"/>']
    for tick in scale.ticks(5):
        axis.append(text(float(scale(tick)), 15, f"{tick:+g}" if tick else "0", "tick", "middle"))
    axis.append(text(_WIDTH / 2, 31, "ours minus the rival's top-1, points", "label", "middle"))
    return rows, frame(_WIDTH, 36, "".join(axis), "Axis: points of top-1", "cell")


def _row(scale: Scale, ours: float | None, each: list[float], lead: Mapping[str, float], average: bool) -> Markup:
    middle, zero = _HEIGHT / 2, float(scale(0))
    parts = [f'<path class="line even" d="M{zero:.1f} 0V{_HEIGHT}"/>']
    if ours is not None and len(each) > 1:
        for score in each:
            at = float(scale(ours - score))
            parts.append(f'<path class="line one-search" d="M{at:.1f} {middle - 5}v10"/>')
    left, right = scale([lead["lower"], lead["upper"]])
    at, look = float(scale(lead["points"])), "average" if average else ""
    parts.append(f'<path class="line interval {look}" d="M{left:.1f} {middle}H{right:.1f}"/>')
    parts.append(f'<path class="mark lead {look}" d="{mark("diamond" if average else "square", at, middle, 4.5)}"/>')
    points, lower, upper = (signed(lead[key]) for key in ("points", "lower", "upper"))
    said = f"{points} points, 95% interval {lower} to {upper}"
    return frame(_WIDTH, _HEIGHT, "".join(parts), said, "cell")
