"""Baselines of a search: the best subnet measured anyway, and random search at equal cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.predictor.mix import NOT_TIMED
from foxnas.predictor.model import Predictor
from foxnas.search.goal import MOST_ACCURATE, NO_CAPS, Caps, Goal
from foxnas.space.space import SearchSpace
from foxnas.verdict.ranking import best_under


@dataclass(frozen=True)
class Difference:
    """Top-1, or another mean over images, of ours minus a rival's, in points, with its 95% interval (normal)."""

    points: float
    lower: float
    upper: float

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return asdict(self)


def paired_difference(ours: np.ndarray, rivals: np.ndarray) -> Difference:
    """Compare one subnet with one or more rivals on the same images.

    Parameters
    ----------
    ours
        (images,): what our subnet got right, or the probability that it gave the right class; over several budgets,
        the share of them where ours did.
    rivals
        (rivals, images): likewise. Several rivals are draws of one random rival, so the interval
        holds their spread, too: its variance is that of the mean over images plus that over rivals.
    """
    differences = ours[None].astype(float) - rivals
    per_image, per_rival = differences.mean(axis=0), differences.mean(axis=1)
    variance = per_image.var(ddof=1) / len(per_image)
    if len(per_rival) > 1:
        variance += per_rival.var(ddof=1) / len(per_rival)
    half = 1.96 * float(np.sqrt(variance))
    mean = float(per_image.mean())
    return Difference(100 * mean, 100 * (mean - half), 100 * (mean + half))


def with_predicted(measured: pd.DataFrame, space: SearchSpace, latency: Mapping[int, Predictor]) -> pd.DataFrame:
    """Return the subnets with a usable latency, and those that needed none with the predicted one.

    Few subnets are timed on a device that is likened to others, or times blocks; a baseline would have timed them all.
    """
    found = measured[measured["usable"] | (measured["reason"].isin(NOT_TIMED))].reset_index(drop=True)
    for size, rows in found[~found["usable"]].groupby("image_size"):
        archs = [space.parse(str(text)) for text in rows["arch"]]
        found.loc[rows.index, "latency_ms"] = latency[int(str(size))].predict(archs).mean
    return found.drop(columns=["usable", "reason"])


def random_search(
    measured: pd.DataFrame,
    target: str,
    budgets_ms: list[float],
    measurements: int,
    rng: np.random.Generator,
    goals: Sequence[Goal] = (),
    caps: Caps = NO_CAPS,
) -> list[str]:
    """Return, per budget, the architecture that one random search would deploy.

    The search measures `measurements` random subnets, drawn from the measured ones: without replacement
    where there are enough, else with. Raises FoxnasError when none meets a budget.
    """
    again = measurements > len(measured)
    drawn = measured.iloc[rng.choice(len(measured), measurements, replace=again)].drop_duplicates("id")
    chosen = []
    for budget_ms, goal in zip(budgets_ms, goals or [MOST_ACCURATE] * len(budgets_ms), strict=True):
        best = best_under(drawn, target, budget_ms, 1, goal, caps)
        if best.empty:
            raise FoxnasError(
                f"a random search of {measurements} subnets found none below {budget_ms:.4g} ms that will do"
            )
        chosen.append(str(best["arch"].iloc[0]))
    return chosen


def compare(
    ours: Sequence[str], measured: Sequence[str], drawn: Sequence[Sequence[str]], correct: Mapping[str, np.ndarray]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return our subnets beside both rivals, budget by budget, and our average leads.

    Parameters
    ----------
    ours, measured
        Architectures, one per budget: those deployed, and the best measured anyway.
    drawn
        What each random search would deploy, likewise.
    correct
        bool (images,) for each architecture: what it got right.
    """

    def top1(text: str) -> float:
        return float(100 * correct[text].mean())

    def lead(mine: Sequence[str], rivals: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Over all budgets given. They are answered on the same images, so that an image is drawn with all budgets."""
        right, *theirs = (np.mean([correct[text] for text in texts], axis=0) for texts in (mine, *rivals))
        return paired_difference(right, np.stack(theirs)).to_json()

    rows = [
        {
            "ours": {"arch": own, "top1_percent": top1(own)},
            "best_measured": {"arch": best, "top1_percent": top1(best), "lead": lead([own], [[best]])},
            "random_search": {
                "archs": list(found),
                "top1_percent": [top1(text) for text in found],
                "lead": lead([own], [[text] for text in found]),
            },
        }
        for own, best, found in zip(ours, measured, zip(*drawn, strict=True), strict=True)
    ]
    return rows, {"best_measured": lead(ours, [measured]), "random_search": lead(ours, drawn)}
