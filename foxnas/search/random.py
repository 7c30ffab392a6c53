"""Unguided random search: the baseline of every other strategy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Landscape, Point
from foxnas.search.problem import Pool, SearchProblem, SearchResult, Selection, TracePoint, select


@dataclass(frozen=True)
class RandomSettings:
    """Settings of random search: `draws` subnets, uniform over knobs, those over the budget included."""

    draws: int = 20_000
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise FoxnasError(f"random search: draws {self.draws} must be at least 1")


def search(problem: SearchProblem, settings: RandomSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best of `settings.draws` random subnets within the budget.

    When none of them meets it, the only candidate is the fastest architecture. Raises InfeasibleBudget.
    """
    problem.require_feasible()
    landscape = problem.landscape
    pool = Pool(settings.selection.pool)
    best, trace = -np.inf, []
    for call, point in enumerate(_draw(landscape, settings.draws, rng), 1):
        accuracy, latency_ms = landscape.predict(point)
        if latency_ms > problem.budget_ms:
            continue
        pool.offer(accuracy, point.size, point.classes)
        if accuracy > best:
            best = accuracy
            trace.append(TracePoint(call, call, accuracy, best, latency_ms, 0.0, 0))
    points: list[Point] = pool.points() or [landscape.fastest]
    return SearchResult("random", select(landscape, points, settings.selection), settings.draws, tuple(trace))


def _draw(landscape: Landscape, count: int, rng: np.random.Generator) -> Iterator[Point]:
    """Yield random points, uniform over knobs as `SearchSpace.draw` is, drawn a thousand at a time for speed."""
    space, units = landscape.space, len(landscape.space.units)
    layers = space.layers()
    for start in range(0, count, 1000):
        rows = min(1000, count - start)
        sizes = rng.integers(len(landscape.image_sizes), size=rows).tolist()
        depths = rng.choice(space.depths, (rows, units)).tolist()
        drawn = rng.integers(len(layers), size=(rows, units, space.depths[-1])).tolist()
        for size, depth, codes in zip(sizes, depths, drawn, strict=True):
            unit_layers = (tuple(layers[c] for c in code[:d]) for d, code in zip(depth, codes, strict=True))
            yield Point(size, tuple(map(landscape.class_of, unit_layers)))
