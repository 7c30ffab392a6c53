"""Deployed models against off-the-shelf networks: points at equal latency, latency at equal accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foxnas.rivals.curves import FloatArray, accuracy_at, frontier, latency_at, resampled

#: Of the bootstrap, for 95% intervals that move by some hundredths of a point from seed to seed.
RESAMPLES = 4000
_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Point:
    """One int8 model: its latency on the device, what it scored, and where it comes from.

    `name` is the network's, or the budget's of a deployed model; `verify_percent` is what models are chosen by on the
    verify split, `verification.chosen_by`; `correct` is bool (images,), of the test split.
    """

    name: str
    image_size: int
    latency_ms: float
    verify_percent: float
    correct: np.ndarray

    @property
    def test_percent(self) -> float:
        """Top-1 on the test split."""
        return 100 * int(self.correct.sum()) / len(self.correct)


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its 95% interval: percentiles of a bootstrap over the test images, paired.

    An end is None where it is infinite: where in so many resamples one side does not reach the other's accuracy.
    """

    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Comparison:
    """The model of one budget against one network; what cannot be said is None, and `remarks` say why.

    Parameters
    ----------
    within
        The network's image size that is best on the verify split among those within the budget.
    lead
        Points of top-1 that ours has more than the network at that size.
    lead_at_latency
        Points of top-1 that ours has more than the network's curve at ours' latency.
    saving_at_its_accuracy
        Percent of the network's latency at that size that the curve of our models needs less, for its accuracy.
    saving_at_our_accuracy
        Percent of the latency that the network's curve needs for our accuracy, which ours needs less.
    remarks
        One sentence for each, and for each saving that the ends of a line bound.
    """

    budget: str
    network: str
    within: int | None
    lead: Estimate | None
    lead_at_latency: Estimate | None
    saving_at_its_accuracy: Estimate | None
    saving_at_our_accuracy: Estimate | None
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return asdict(self)


def best_within(points: Sequence[Point], budget_ms: float) -> Point | None:
    """Return the point that one would deploy under a budget: best on the verify split, of equals the fastest."""
    fitting = [point for point in points if point.latency_ms <= budget_ms]
    return max(fitting, key=lambda point: (point.verify_percent, -point.latency_ms), default=None)


def compare(
    ours: Mapping[str, Point], networks: Mapping[str, Sequence[Point]], budgets_ms: Mapping[str, float], seed: int = 0
) -> list[Comparison]:
    """Return every budget's model beside every network.

    A curve has the points that nothing faster beats on the verify split, so that no test image chooses. Latencies are
    taken as they are: intervals say how sure the test images are.

    Parameters
    ----------
    ours, budgets_ms
        By budget.
    networks
        Points of every image size, by network.
    """
    points = [*ours.values(), *(point for found in networks.values() for point in found)]
    scores = resampled([point.correct for point in points], RESAMPLES, np.random.default_rng(seed))
    score = {id(point): column for point, column in zip(points, scores.T, strict=True)}
    our_curve = _curve(list(ours.values()), score)
    return [
        _compare(budget, ours[budget], limit, our_curve, name, found, score)
        for budget, limit in budgets_ms.items()
        for name, found in networks.items()
    ]


_Curve = tuple[FloatArray, FloatArray]


def _curve(points: Sequence[Point], score: Mapping[int, FloatArray]) -> _Curve:
    kept = frontier(*(np.array([getattr(p, of) for p in points]) for of in ("latency_ms", "verify_percent")))
    chosen = [points[i] for i in kept]
    return np.array([point.latency_ms for point in chosen]), np.stack([score[id(point)] for point in chosen], axis=1)


def _compare(
    budget: str,
    own: Point,
    budget_ms: float,
    our_curve: _Curve,
    name: str,
    theirs: Sequence[Point],
    score: Mapping[int, FloatArray],
) -> Comparison:
    remarks = []
    lead = at_its = None
    curve, mine = _curve(theirs, score), score[id(own)]
    fastest = min(theirs, key=lambda point: point.latency_ms)
    if (best := best_within(theirs, budget_ms)) is None:
        remarks.append(
            f"no image size of {name} is within the budget: the fastest, {fastest.image_size} px, takes "
            f"{fastest.latency_ms:.4g} ms"
        )
    else:
        lead = _estimate(mine - score[id(best)])
        at_its = _estimate(100 * (1 - latency_at(*our_curve, score[id(best)]) / best.latency_ms))
        if at_its is None:
            remarks.append(f"none of our models reaches the {best.test_percent:.2f}% of {name} within the budget")
        elif our_curve[1][0, 0] > score[id(best)][0]:
            remarks.append(f"our fastest model has more than the {best.test_percent:.2f}% of {name} already")
    at_latency = _estimate(mine - accuracy_at(*curve, own.latency_ms))
    if at_latency is None:
        remarks.append(f"no image size of {name} is as fast as ours, {own.latency_ms:.4g} ms")
    needed_ms = latency_at(*curve, mine)
    at_ours = _estimate(np.where(np.isfinite(needed_ms), 100 * (1 - own.latency_ms / needed_ms), np.inf))
    if at_ours is None:
        remarks.append(f"no image size of {name} reaches our {own.test_percent:.2f}%")
    elif curve[1][0, 0] > mine[0]:
        remarks.append(f"the fastest image size of {name} has more than our {own.test_percent:.2f}% already")
    within = best.image_size if best else None
    return Comparison(budget, name, within, lead, at_latency, at_its, at_ours, tuple(remarks))


def _estimate(values: FloatArray) -> Estimate | None:
    """Return the estimate of (1 + resamples,) values, the first of the images as they are; None where that is none."""
    if not np.isfinite(values[0]):
        return None
    ends = np.quantile(values[1:], _ENDS, method="inverted_cdf").tolist()
    lower, upper = (end if np.isfinite(end) else None for end in ends)
    return Estimate(float(values[0]), lower, upper)
