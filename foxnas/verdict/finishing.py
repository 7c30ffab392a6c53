"""Whether what was trained of a winner takes its place: by what its int8 file answers on the verify split."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foxnas.accuracy.by_class import in_words, over_classes
from foxnas.int8.scored import COLUMNS, Measure, Scored
from foxnas.supernet.finishing_config import FINISHED
from foxnas.verdict.baselines import Difference, paired_difference

log = logging.getLogger(__name__)

#: Weights as the supernet has them; trained alone from there; and trained to be rounded.
INHERITED, FINE_TUNED, QUANTISATION_AWARE = "inherited", "fine-tuned", "quantisation-aware"


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
    def drop_percent(self) -> float:
        """Points of top-1 that int8 loses."""
        return self.float_top1_percent - self.scored.percent[COLUMNS["top1"]]


def better(attempts: Sequence[Attempt], chosen_by: Measure) -> Attempt:
    """Return the attempt whose int8 file is the best, as `verification.chosen_by` has it; of equals, the earliest."""
    return max(attempts, key=lambda one: one.scored.percent[COLUMNS[chosen_by]])


def of_attempts(
    attempts: Sequence[Attempt], chosen_by: Measure, truth: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Return what came of finishing a winner: each attempt beside the first, and which one is deployed.

    Differences of what is chosen by are paired, in points, with their 95% intervals. `truth` has the classes of the
    verify split, (images,), and `names` what they are called.
    """
    first, chosen = attempts[0], better(attempts, chosen_by)

    def gained(one: Attempt) -> Difference:
        return paired_difference(one.scored.of_each(chosen_by), first.scored.of_each(chosen_by)[None])

    rows: list[dict[str, Any]] = [
        {
            "weights": one.weights,
            "float_top1_percent": one.float_top1_percent,
            **one.scored.percent,
            **over_classes(one.scored.correct, truth, names),
            **({} if one is first else {"gained": gained(one).to_json()}),
        }
        for one in attempts
    ]
    for row in rows[1:]:
        log.info(
            "%s: int8 top-1 %.2f%% on the verify split (%s), %s %+.2f points (95%% interval %.2f to %.2f): %s",
            row["weights"], row[COLUMNS["top1"]], in_words(row), chosen_by, *row["gained"].values(),
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
