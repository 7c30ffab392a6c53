"""What a search is given and what it returns: one interface for every strategy.

A strategy is a function `(problem, settings, rng) -> SearchResult`; its settings are a frozen dataclass of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Landscape, Point
from foxnas.space import Arch


class InfeasibleBudget(FoxnasError):
    """No architecture meets the budget; `fastest` comes closest, at a predicted `latency_ms`."""

    def __init__(self, budget_ms: float, fastest: Arch, latency_ms: float) -> None:
        super().__init__(
            f"no architecture is predicted to meet {budget_ms:.4g} ms: the fastest, {fastest.text}, is predicted at "
            f"{latency_ms:.4g} ms; raise the budget to at least that"
        )
        self.budget_ms = budget_ms
        self.fastest = fastest
        self.latency_ms = latency_ms


@dataclass(frozen=True)
class SearchProblem:
    """Maximise predicted accuracy, subject to predicted latency <= `budget_ms`."""

    landscape: Landscape
    budget_ms: float

    def __post_init__(self) -> None:
        if not self.budget_ms > 0:
            raise FoxnasError(f"budget {self.budget_ms} ms must be above 0")

    def require_feasible(self) -> None:
        """Raise InfeasibleBudget when even the fastest architecture is too slow."""
        fastest = self.landscape.fastest
        latency_ms = self.landscape.predict(fastest)[1]
        if latency_ms > self.budget_ms:
            raise InfeasibleBudget(self.budget_ms, self.landscape.arch(fastest), latency_ms)


@dataclass(frozen=True)
class Selection:
    """Which of the best states become candidates.

    Attributes
    ----------
    count
        Number of candidates.
    min_difference
        Two candidates differ in at least so many units (another image size counts as all); when the search has not
        seen enough such states, the rest are merely distinct classes.
    rank_by
        "mean": the predicted accuracy. "lower": the lower end of its 95% prediction interval, which holds
        extrapolation (high leverage) against a candidate; it reorders what the search saw, not the search.
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


@dataclass(frozen=True)
class Candidate:
    """A class representative with its predictions; intervals and leverages are None for published predictors."""

    arch: Arch
    accuracy: float
    accuracy_lower: float | None
    accuracy_upper: float | None
    accuracy_leverage: float | None
    latency_ms: float
    latency_lower_ms: float | None
    latency_upper_ms: float | None
    latency_leverage: float | None


class TracePoint(NamedTuple):
    """The state of a search after `calls` predictor calls; fields a strategy does not have are 0."""

    step: int
    calls: int
    current: float
    best: float
    latency_ms: float
    """Predicted latency of the current state."""
    temperature: float
    phase: int


@dataclass(frozen=True)
class SearchResult:
    """Candidates within the budget, best first; `calls` counts subnets predicted (accuracy and latency)."""

    strategy: str
    candidates: tuple[Candidate, ...]
    calls: int
    trace: tuple[TracePoint, ...] = field(repr=False)

    @property
    def best(self) -> Candidate:
        """The first candidate."""
        return self.candidates[0]


Settings = TypeVar("Settings", contravariant=True)


class Strategy(Protocol[Settings]):
    """The interface of every strategy. Raises InfeasibleBudget."""

    def __call__(self, problem: SearchProblem, settings: Settings, rng: np.random.Generator) -> SearchResult: ...


class Pool:
    """The best distinct states a search has seen within its budget."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._states: dict[tuple[int, ...], float] = {}
        self.threshold = -np.inf
        """States that are not above it need not be offered."""

    def offer(self, accuracy: float, size: int, classes: Iterable[int]) -> None:
        """Remember a state that met the budget."""
        if accuracy > self.threshold:
            self._states[(size, *classes)] = accuracy
            if len(self._states) > 2 * self._size:
                self._states = dict(self._ranked()[: self._size])
                self.threshold = min(self._states.values())

    def points(self) -> list[Point]:
        """Return the best states, best first."""
        return [Point(key[0], key[1:]) for key, _ in self._ranked()[: self._size]]

    def _ranked(self) -> list[tuple[tuple[int, ...], float]]:
        # The key breaks ties, so that equal runs give equal lists.
        return sorted(self._states.items(), key=lambda state: (-state[1], state[0]))


def select(landscape: Landscape, points: list[Point], selection: Selection) -> tuple[Candidate, ...]:
    """Return diverse candidates out of `points`, which are given best first."""
    if selection.rank_by == "lower":
        lower = [c.accuracy_lower for c in describe(landscape, points) if c.accuracy_lower is not None]
        if len(lower) < len(points):
            raise FoxnasError('search: rank_by "lower" needs fitted predictors: published ones have no intervals')
        points = [points[i] for i in np.argsort(np.negative(lower), kind="stable")]
    chosen: list[Point] = []
    for difference in (selection.min_difference, 1):
        for point in points:
            if len(chosen) == selection.count:
                break
            if all(_difference(point, other) >= difference for other in chosen):
                chosen.append(point)
    order = {point: rank for rank, point in enumerate(points)}
    return describe(landscape, sorted(chosen, key=order.__getitem__))


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
