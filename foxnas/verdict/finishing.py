"""Whether what was trained of a winner takes its place: by what its int8 file answers on the verify split."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foxnas.accuracy.by_class import in_words, over_classes
from foxnas.int8.scored import COLUMNS, MEASURES, Measure, Scored
from foxnas.supernet.finishing_config import FINISHED
from foxnas.verdict.baselines import Difference, paired_difference

log = logging.getLogger(__name__)

#: Weights as the supernet has them; trained alone from there; and trained to be rounded.
INHERITED, FINE_TUNED, QUANTISATION_AWARE = "inherited", "fine-tuned", "quantisation-aware"

#: What an attempt gained over the first, by measure.
GAINED: dict[Measure, str] = {"top1": "gained", "probability": "gained_probability"}


@dataclass(frozen=True, eq=False)
class Attempt:
    """A winner with some weights, on the verify split."""

    weights: str
    """What they are called."""
    float_top1_percent: float
    """Top-1 of these weights unrounded; of those that learnt to be rounded, before that."""
    scored: Scored
    """What its int8 file answers."""
    content: bytes
    """That file."""

    @property
    def int8_top1_percent(self) -> float:
        """Top-1 of the int8 file."""
        return self.scored.percent[COLUMNS["top1"]]

    @property
    def drop_percent(self) -> float:
        """Points of top-1 that int8 loses."""
        return self.float_top1_percent - self.int8_top1_percent


def better(attempts: Sequence[Attempt], chosen_by: Measure, floor_percent: float | None = None) -> Attempt:
    """Return the attempt that is deployed; of equals, the earliest.

    One after the other takes the place of the best before it if its int8 file is better, as `verification.chosen_by`
    has it. A larger probability does not do where top-1 is lower for certain, or falls below the goal's floor: what is
    trained on also gets surer of what it says, right or wrong. What learnt to be rounded, to lose less of top-1, is
    judged by top-1.
    """
    best = attempts[0]
    for one in attempts[1:]:
        by: Measure = "top1" if one.weights == QUANTISATION_AWARE else chosen_by
        if one.scored.percent[COLUMNS[by]] <= best.scored.percent[COLUMNS[by]]:
            continue
        falls = floor_percent is not None and one.int8_top1_percent < min(floor_percent, best.int8_top1_percent)
        if not falls and _gained(one, best, "top1").upper >= 0:
            best = one
    return best


def _gained(one: Attempt, other: Attempt, measure: Measure) -> Difference:
    return paired_difference(one.scored.of_each(measure), other.scored.of_each(measure)[None])


def of_attempts(
    attempts: Sequence[Attempt], chosen: Attempt, chosen_by: Measure, truth: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Return what came of finishing a winner: each attempt beside the first, and which one is deployed.

    Differences are paired, in points, with their 95% intervals, of each measure under its name in `GAINED`. `truth` has
    the classes of the verify split, (images,), and `names` what they are called.
    """
    first = attempts[0]

    def gains(one: Attempt) -> dict[str, Any]:
        return {column: _gained(one, first, measure).to_json() for measure, column in GAINED.items()}

    rows: list[dict[str, Any]] = [
        {
            "weights": one.weights,
            "float_top1_percent": one.float_top1_percent,
            **one.scored.percent,
            **over_classes(one.scored.correct, truth, names),
            **({} if one is first else gains(one)),
        }
        for one in attempts
    ]
    for row in rows[1:]:
        log.info(
            "%s: int8 top-1 %.2f%% on the verify split (%s); %s: %+.2f points (95%% interval %.2f to %.2f): %s",
            row["weights"], row[COLUMNS["top1"]], in_words(row), MEASURES[chosen_by], *row[GAINED[chosen_by]].values(),
            "deployed" if row["weights"] == chosen.weights else "not deployed",
        )  # fmt: skip
    return {"verify_images": len(truth), "chosen": chosen.weights, "chosen_by": chosen_by, "attempts": rows}


def ranked_first(order: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ranking in which the finished winner comes before the inherited one.

    The inherited one stays next: to a compiler that looks at weights, the two are not equally fast.
    """
    return {**order, "ranked": [dict(row), *order["ranked"]]}


def deployed_attempt(winner: Mapping[str, Any], finishing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attempt that a winner's deployed file is of; without finishing there is the inherited one alone."""
    wanted = finishing["chosen"] if winner["batch"] == FINISHED else INHERITED
    return next((one for one in finishing.get("attempts", ()) if one["weights"] == wanted), {"weights": wanted})
