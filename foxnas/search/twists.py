"""Twisting (section 3.3 of the paper): change one knob of a measured architecture, for a reason.

The paper's authors look at their regression, pick the knob that buys most for the slack that is left, and
measure again. Here every single-parameter move is listed with what it is predicted to do to accuracy and
latency, as a *contrast*: all the terms that the move changes, with their covariance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.multitest import multipletests

from foxnas.predictor.contrast import Contrast, contrast
from foxnas.predictor.model import Predictor
from foxnas.search.goal import Linear
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace

#: The score of the paper's goal.
MORE_ACCURACY = Linear(1.0, 0.0)


@dataclass(frozen=True)
class Move:
    """One knob changed. The Holm p-values are adjusted for all the moves that are listed beside it."""

    text: str
    arch: Arch
    accuracy: Contrast
    latency: Contrast
    """In milliseconds."""
    accuracy_p_holm: float
    latency_p_holm: float


def single_moves(
    space: SearchSpace, base: Arch, accuracy: Mapping[int, Predictor], latency: Mapping[int, Predictor]
) -> list[Move]:
    """Return every move of one knob away from `base`, largest predicted gain of accuracy first.

    Moves that the predictors cannot tell apart (the same change of another layer after the first) are
    listed once. Sizes without predictors are left out.

    Parameters
    ----------
    accuracy, latency
        Fitted predictors by image size.
    """
    found: dict[tuple[float, ...], tuple[str, Arch, Contrast, Contrast]] = {}
    for other in space.neighbours(base):
        if other.image_size not in accuracy or other.image_size not in latency:
            continue
        effects = [
            contrast(predictors[base.image_size], base, predictors[other.image_size], other)
            for predictors in (accuracy, latency)
        ]
        key = (other.image_size, *(round(number, 12) for e in effects for number in (e.value, e.standard_error)))
        found.setdefault(key, (" and ".join(_changes(base, other)), other, effects[0], effects[1]))
    if not found:
        return []
    moves = list(found.values())
    adjusted = [
        multipletests([effects.p for effects in column], method="holm")[1].tolist()
        for column in ([move[2] for move in moves], [move[3] for move in moves])
    ]
    listed = [Move(*move, *p) for move, *p in zip(moves, *adjusted, strict=True)]
    return sorted(listed, key=lambda move: (-move.accuracy.value, move.latency.value, move.arch.text))


def worth_trying(
    moves: Sequence[Move],
    slack_ms: float,
    count: int,
    score: Linear = MORE_ACCURACY,
    spare_points: float = math.inf,
) -> list[Move]:
    """Return the best moves that should end within the budget, at most `count`.

    Parameters
    ----------
    moves
        In any order.
    slack_ms
        What the measured upper bound of the base leaves of the budget, in milliseconds; negative when
        the base misses it. A move fits when the upper end of its latency interval is within it.
    score
        What is to be gained.
    spare_points
        What the base has above an accuracy floor; a move fits when the lower end of its interval stays above.

    Of a base that keeps its budget, only moves that promise a gain are worth a measurement; of one that misses it,
    those that cost least.
    """

    def gain(move: Move) -> float:
        effects = {"accuracy": np.array(move.accuracy.value), "latency_ms": np.array(move.latency.value)}
        return float(score(effects))

    fitting = [
        move for move in moves if move.latency.upper <= slack_ms and move.accuracy.lower >= -max(spare_points, 0.0)
    ]
    if slack_ms >= 0:
        fitting = [move for move in fitting if gain(move) > 0]
    return sorted(fitting, key=lambda move: (-gain(move), move.latency.value, move.arch.text))[:count]


def _changes(base: Arch, other: Arch) -> Iterator[str]:
    """Say in words how `other` differs from `base`, of which it is a neighbour."""
    if base.image_size != other.image_size:
        yield f"image size {base.image_size} -> {other.image_size}"
    for place, (one, two) in enumerate(zip(base.units, other.units, strict=True), 1):
        if len(one) != len(two):
            yield f"depth of unit {place} {len(one)} -> {len(two)}"
            continue
        for layer, (before, after) in enumerate(zip(one, two, strict=True)):
            which = "the first layer" if layer == 0 else "a later layer"
            for knob, x, y in zip("KE", before, after, strict=True):
                if x != y:
                    yield f"{knob} of {which} of unit {place} {x} -> {y}"
