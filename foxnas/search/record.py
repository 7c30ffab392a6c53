"""How a strategy looks at architectures: predictions are counted, the best states kept, the trace written.

Objectives and caps are applied here, so that every strategy honours them: what is not feasible has the value -inf.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from foxnas.search.landscape import Batch, IndexArray, Point
from foxnas.search.problem import Infeasible, InfeasibleBudget, SearchProblem, SearchResult, TracePoint
from foxnas.search.selection import Selection, conclude
from foxnas.space.terms import FloatArray

#: Steps of the descent towards feasibility; each changes one unit, so far more than a space has units.
_REPAIRS = 100

#: States that the pool keeps before it drops repeats and the worst, as a multiple of its size.
_SLACK = 16


class Record:
    """What one run of a strategy has seen."""

    def __init__(self, problem: SearchProblem, selection: Selection) -> None:
        self.problem = problem
        self.calls = 0
        self.best = -np.inf
        self.trace: list[TracePoint] = []
        self._selection = selection
        self._pool = Pool(selection.pool)

    def see(self, sizes: IndexArray, classes: IndexArray, temperature: float = 0.0, phase: int = 0) -> FloatArray:
        """Return the values of architectures, -inf for those that break a cap, and remember the best.

        `sizes` is (n,), `classes` (n, units), as in `Batch`; n predictor calls, in this order.
        """
        batch = self.problem.landscape.batch(sizes, classes)
        values = self.problem.values(batch)
        before, self.calls = self.calls, self.calls + len(values)
        if len(values) and values.max() > self.best:
            at = int(values.argmax())
            self.best = float(values[at])
            latency_ms = float(batch.latency_ms[at])
            call = before + at + 1
            self.trace.append(TracePoint(call, call, self.best, self.best, latency_ms, temperature, phase))
        self._pool.offer(sizes, classes, values)
        return values

    def note(self, size: int, classes: IndexArray, value: float, temperature: float, phase: int) -> None:
        """Add the current state of a search to the trace."""
        latency_ms = self.problem.landscape.predict(Point(size, tuple(classes.tolist())))[1]
        self.trace.append(TracePoint(self.calls, self.calls, value, self.best, latency_ms, temperature, phase))

    def starts(self) -> list[Point]:
        """Return a feasible class of every image size that was found to have one.

        They are the fastest class, else the most accurate, else what a descent from either reaches that lowers the
        excess over the caps, one unit at a time. Raises InfeasibleBudget when even the fastest architecture of all
        is too slow, which proves it, and Infeasible when the descents end above a cap.
        """
        self.problem.require_feasible()
        landscape = self.problem.landscape
        found, closest = [], (np.inf, landscape.fastest)
        for fastest, accurate in zip(landscape.fastest_by_size, landscape.most_accurate_by_size, strict=True):
            reached = [self._repair(start) for start in ([fastest, accurate] if self.problem.caps else [fastest])]
            excess, point = min(reached, key=lambda pair: pair[0])
            if excess == 0:
                found.append(point)
            closest = min(closest, (excess, point), key=lambda pair: pair[0])
        if not found:
            raise _infeasible(self.problem, closest[1])
        return found

    def finish(self, strategy: str) -> SearchResult:
        """Return the best of what was seen; when nothing was feasible, a start."""
        points = self._pool.points() or self.starts()[:1]
        return conclude(strategy, self.problem, points, self._selection, self.calls, self.trace)

    def _repair(self, point: Point) -> tuple[float, Point]:
        landscape = self.problem.landscape
        units, classes = np.nonzero(landscape.allowed)
        batch = landscape.batch_of([point])
        excess = float(self.problem.excess(batch)[0])
        self.calls += 1
        for _ in range(_REPAIRS if self.problem.caps else 0):
            if excess == 0:
                break
            others = np.repeat(batch.classes, len(classes), axis=0)
            others[np.arange(len(classes)), units] = classes
            around = landscape.batch(np.full(len(others), point.size), others)
            self.calls += len(others)
            over = self.problem.excess(around)
            at = int(over.argmin())
            if over[at] >= excess:
                break
            excess, batch = float(over[at]), around[np.array([at])]
        return excess, batch.points[0]


class Pool:
    """The best distinct states that a search has seen."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._states: list[tuple[FloatArray, IndexArray]] = []
        self._held = 0
        self.threshold = -np.inf
        """States that are not above it cannot enter."""

    def offer(self, sizes: IndexArray, classes: IndexArray, values: FloatArray) -> None:
        """Remember states by their values; -inf never enters."""
        rows = np.flatnonzero(values > self.threshold)
        if len(rows):
            self._states.append((values[rows], np.column_stack([sizes[rows], classes[rows]])))
            self._held += len(rows)
            if self._held > _SLACK * self._size:
                self._keep_best()

    def points(self) -> list[Point]:
        """Return the best states, best first; ties by image size and classes, so that equal runs give equal lists."""
        if not self._states:
            return []
        self._keep_best()
        return [Point(size, tuple(classes)) for size, *classes in self._states[0][1].tolist()]

    def _keep_best(self) -> None:
        values, states = (np.concatenate(parts) for parts in zip(*self._states, strict=True))
        first = _first_of_each(states)
        order = first[np.argsort(-values[first], kind="stable")][: self._size]
        self._states = [(values[order], states[order])]
        self._held = len(order)
        if len(order) == self._size:
            self.threshold = float(values[order[-1]])


def _first_of_each(states: IndexArray) -> IndexArray:
    """Return the index of one row of each kind, in lexicographic order of the rows."""
    counts = states.max(axis=0) + 1
    if float(np.prod(counts.astype(float))) < 2**62:
        # One number per row: sorting numbers is many times faster than sorting rows.
        return np.unique(np.ravel_multi_index(tuple(states.T), tuple(counts)), return_index=True)[1]
    return np.unique(states, axis=0, return_index=True)[1]


def _infeasible(problem: SearchProblem, closest: Point) -> Infeasible:
    batch = problem.landscape.batch_of([closest])
    arch = batch.archs[0]
    if not problem.caps:
        return InfeasibleBudget(problem.budget_ms, arch, float(batch.latency_ms[0]))
    return Infeasible(
        f"no architecture was found that keeps every cap; the closest, {arch.text}, has {_costs(problem, batch)}; "
        "raise the limits that it breaks",
        arch,
    )


def _costs(problem: SearchProblem, batch: Batch) -> str:
    def described() -> Iterable[str]:
        for cap in problem.all_caps:
            yield f"{cap.name} {float(cap.cost(batch)[0]):.4g}{cap.unit and ' ' + cap.unit} (limit {cap.limit:.4g})"

    return ", ".join(described())
