"""Selects candidates among the states that a search saw, and describes each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Landscape, Point
from foxnas.search.problem import Candidate, SearchProblem, SearchResult, TracePoint


@dataclass(frozen=True)
class Selection:
    """Which of the best states become candidates.

    Attributes
    ----------
    count
        Number of candidates.
    min_difference
        Least number of units in which two candidates differ (another image size counts as all); when the search has not
        seen enough such states, the rest are merely distinct classes.
    rank_by
        "mean": the objective at the predicted accuracy. "lower": the objective at the lower end of the accuracy's 95%
        prediction interval, which holds extrapolation (high leverage) against a candidate; it reorders what the
        search saw, not the search.
    pool
        Number of best states among which to choose.
    """

    count: int = 10
    min_difference: int = 2
    rank_by: Literal["mean", "lower"] = "mean"
    pool: int = 1000

    def __post_init__(self) -> None:
        if self.count < 1 or self.pool < self.count:
            raise FoxnasError(f"search: count {self.count} must be at least 1 and at most pool ({self.pool})")
        if self.min_difference < 1:
            raise FoxnasError(f"search: min_difference {self.min_difference} must be at least 1")
        if self.rank_by not in ("mean", "lower"):
            raise FoxnasError(f'search: rank_by {self.rank_by!r} is unknown: take "mean" or "lower"')


def select(problem: SearchProblem, points: list[Point], selection: Selection) -> tuple[Candidate, ...]:
    """Return diverse candidates out of `points`, which are given best first."""
    landscape = problem.landscape
    if selection.rank_by == "lower":
        lower = [c.accuracy_lower for c in describe(landscape, points) if c.accuracy_lower is not None]
        if len(lower) < len(points):
            raise FoxnasError('search: rank_by "lower" needs fitted predictors: published ones have no intervals')
        cautious = dataclasses.replace(landscape.batch_of(points), accuracy=np.array(lower))
        points = [points[i] for i in np.argsort(-problem.objective.value(cautious), kind="stable")]
    chosen: list[Point] = []
    for difference in (selection.min_difference, 1):
        for point in points:
            if len(chosen) == selection.count:
                break
            if all(_difference(point, other) >= difference for other in chosen):
                chosen.append(point)
    order = {point: rank for rank, point in enumerate(points)}
    return describe(landscape, sorted(chosen, key=order.__getitem__))


def conclude(
    strategy: str,
    problem: SearchProblem,
    points: list[Point],
    selection: Selection,
    calls: int,
    trace: Sequence[TracePoint],
) -> SearchResult:
    """Return the result of a search that ended with `points`, best first and feasible."""
    chosen = select(problem, points, selection)
    batch = problem.landscape.batch_of([problem.landscape.point_of(candidate.arch) for candidate in chosen])
    return SearchResult(strategy, chosen, tuple(problem.objective.value(batch).tolist()), calls, tuple(trace))


def describe(landscape: Landscape, points: list[Point]) -> tuple[Candidate, ...]:
    """Return the candidates of `points`, in their order, with intervals and leverages."""
    archs = [landscape.arch(point) for point in points]
    columns = np.full((len(archs), 6), np.nan)
    for size in {arch.image_size for arch in archs}:
        rows = [i for i, arch in enumerate(archs) if arch.image_size == size]
        for start, predictors in ((0, landscape.accuracy), (3, landscape.latency)):
            prediction = predictors[size].predict([archs[i] for i in rows])
            columns[rows, start : start + 3] = np.column_stack(
                [prediction.lower, prediction.upper, prediction.leverage]
            )
    candidates = []
    for point, arch, values in zip(points, archs, columns.tolist(), strict=True):
        row = [None if math.isnan(value) else value for value in values]
        # The mean is the search's own sum, so that a candidate exactly on its budget is not a rounding above it.
        accuracy, latency_ms = landscape.predict(point)
        candidates.append(Candidate(arch, accuracy, row[0], row[1], row[2], latency_ms, row[3], row[4], row[5]))
    return tuple(candidates)


def _difference(one: Point, other: Point) -> int:
    if one.size != other.size:
        return len(one.classes)
    return sum(a != b for a, b in zip(one.classes, other.classes, strict=True))
