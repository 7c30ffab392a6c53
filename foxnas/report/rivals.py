"""Off-the-shelf networks on the page: their curves in the plane, and the table of each budget's model beside each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from foxnas.report.numbers import decimals, signed


@dataclass(frozen=True)
class NetworkCurve:
    """One network at its image sizes, from the fastest on; `points` are rows of the comparison's models."""

    name: str
    weights: str
    points: tuple[Mapping[str, Any], ...]

    @property
    def title(self) -> str:
        """How it is called; that its weights began at random is said with it."""
        return self.name if self.weights == "pretrained" else f"{self.name} (from random weights)"


@dataclass(frozen=True)
class RivalRow:
    """One budget's model beside one network; what is not known is a dash."""

    budget: str
    title: str
    within: Mapping[str, Any] | None
    lead: Markup
    lead_at_latency: Markup
    saving_at_its_accuracy: Markup
    saving_at_our_accuracy: Markup
    remarks: tuple[str, ...]


def curves(rivals: Mapping[str, Any]) -> list[NetworkCurve]:
    """Return the networks of a comparison."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rivals["models"]:
        if row["budget"] is None:
            found.setdefault(row["model"], []).append(row)
    return [
        NetworkCurve(name, rows[0]["weights"], tuple(sorted(rows, key=lambda row: float(row["latency_ms"]))))
        for name, rows in found.items()
    ]


def rival_rows(rivals: Mapping[str, Any]) -> list[RivalRow]:
    """Return the table's rows, budget by budget."""
    networks = {curve.name: curve for curve in curves(rivals)}
    rows = []
    for one in rivals["against"]:
        network = networks[one["network"]]
        within = [point for point in network.points if point["image_size"] == one["within"]]
        rows.append(
            RivalRow(
                one["budget"],
                network.title,
                within[0] if within else None,
                lead=_said(one["lead"], signed),
                lead_at_latency=_said(one["lead_at_latency"], signed),
                saving_at_its_accuracy=_said(one["saving_at_its_accuracy"], _share),
                saving_at_our_accuracy=_said(one["saving_at_our_accuracy"], _share),
                remarks=tuple(one["remarks"]),
            )
        )
    return rows


def _said(estimate: Mapping[str, Any] | None, spoken: Callable[[float], str]) -> Markup:
    if estimate is None:
        return Markup("\u2013")
    lower, upper = ("open" if end is None else spoken(end) for end in (estimate["lower"], estimate["upper"]))
    return Markup(f'<b>{spoken(estimate["value"])}</b><br><span class="sub">{lower} to {upper}</span>')


def _share(percent: float) -> str:
    return f"{decimals(percent, 1)}%"
