"""What a search is given and what it returns: one interface for every strategy.

A strategy is a function `(problem, settings, rng) -> SearchResult`; its settings are a frozen dataclass of its own
with a `selection` (`foxnas.search.selection`). A problem is a landscape, an objective to maximise and caps to keep;
the paper's is predicted accuracy under a latency budget, which is what `SearchProblem(landscape, budget_ms)` stands
for. `foxnas.search.record` is how strategies other than the exact one look at architectures, so that objectives and
caps hold in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Batch, Landscape
from foxnas.space.arch import Arch
from foxnas.space.terms import FloatArray


class Infeasible(FoxnasError):
    """No architecture was found that keeps every cap; `closest` comes closest."""

    def __init__(self, message: str, closest: Arch) -> None:
        super().__init__(message)
        self.closest = closest


class InfeasibleBudget(Infeasible):
    """No architecture meets the budget; `fastest` comes closest, at a predicted `latency_ms`."""

    def __init__(self, budget_ms: float, fastest: Arch, latency_ms: float) -> None:
        super().__init__(
            f"no architecture is predicted to meet {budget_ms:.4g} ms: the fastest, {fastest.text}, is predicted at "
            f"{latency_ms:.4g} ms; raise the budget to at least that",
            fastest,
        )
        self.budget_ms = budget_ms
        self.fastest = fastest
        self.latency_ms = latency_ms


@dataclass(frozen=True)
class Objective:
    """What a search maximises.

    Attributes
    ----------
    name
        For messages and tables.
    value
        One number for each architecture of a batch; it may look at predictions, and at `Batch.archs`.
    monotone
        It depends on predicted accuracy and latency alone, and never falls with more accuracy or less latency: then
        an optimum lies on the latency-accuracy frontier, and `exact` finds it. Sums of the two with weights are.
    """

    name: str
    value: Callable[[Batch], FloatArray]
    monotone: bool = False


@dataclass(frozen=True)
class Cap:
    """What an architecture may cost at most: kept when `cost` <= `limit`.

    Attributes
    ----------
    name, unit
        For messages: "parameters", "".
    limit
        In the cost's unit.
    cost
        One number for each architecture of a batch.
    monotone
        It depends on predicted accuracy and latency alone, and never rises with more accuracy or less latency: then
        `exact` honours it.
    """

    name: str
    unit: str
    limit: float
    cost: Callable[[Batch], FloatArray]
    monotone: bool = False

    def excess(self, batch: Batch) -> FloatArray:
        """Return by how much each architecture is above the limit, as a share of it; 0 where the cap is kept."""
        over: FloatArray = np.maximum(self.cost(batch) - self.limit, 0) / (abs(self.limit) or 1.0)
        return over


#: The paper's objective: predicted accuracy.
ACCURACY = Objective("accuracy", lambda batch: batch.accuracy, monotone=True)


@dataclass(frozen=True)
class SearchProblem:
    """Maximise `objective`, subject to predicted latency <= `budget_ms` and to further `caps`."""

    landscape: Landscape
    budget_ms: float = math.inf
    objective: Objective = ACCURACY
    caps: tuple[Cap, ...] = ()

    def __post_init__(self) -> None:
        if math.isnan(self.budget_ms):  # below 0 it may be: a fit to noisy measurements predicts such latencies, too
            raise FoxnasError("the budget is not a number")

    @cached_property
    def all_caps(self) -> tuple[Cap, ...]:
        """The budget, if there is one, and the further caps."""
        budget = Cap("latency", "ms", self.budget_ms, lambda batch: batch.latency_ms, monotone=True)
        return (*([budget] if self.budget_ms < math.inf else []), *self.caps)

    @property
    def monotone(self) -> bool:
        """Whether an optimum lies on the latency-accuracy frontier."""
        return self.objective.monotone and all(cap.monotone for cap in self.caps)

    def feasible(self, batch: Batch) -> NDArray[np.bool_]:
        """Return which architectures keep every cap. Further caps are computed where the cheaper ones are kept."""
        kept = batch.latency_ms <= self.budget_ms
        for cap in self.caps:
            rows = np.flatnonzero(kept)
            kept[rows] = cap.cost(batch[rows]) <= cap.limit
        return kept

    def excess(self, batch: Batch) -> FloatArray:
        """Return by how much each architecture breaks the caps: the sum of the shares of the limits, 0 if feasible."""
        return np.sum([cap.excess(batch) for cap in self.all_caps] or np.zeros((1, len(batch))), axis=0)

    def values(self, batch: Batch) -> FloatArray:
        """Return the objective of each architecture that keeps every cap, -inf for the others.

        Raises FoxnasError when the objective is not a number, naming an architecture.
        """
        kept = np.flatnonzero(self.feasible(batch))
        values = np.full(len(batch), -np.inf)
        within = batch[kept] if len(kept) < len(batch) else batch
        found = np.asarray(self.objective.value(within), dtype=float)
        if found.shape != kept.shape:
            raise FoxnasError(
                f"objective {self.objective.name} gave values of shape {found.shape} for {len(kept)} architectures"
            )
        if len(bad := np.flatnonzero(np.isnan(found))):
            raise FoxnasError(f"objective {self.objective.name} of {within.archs[bad[0]].text} is not a number")
        values[kept] = found
        return values

    def require_feasible(self) -> None:
        """Raise InfeasibleBudget when even the fastest architecture is too slow."""
        fastest = self.landscape.fastest
        latency_ms = self.landscape.predict(fastest)[1]
        if latency_ms > self.budget_ms:
            raise InfeasibleBudget(self.budget_ms, self.landscape.arch(fastest), latency_ms)


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
    """The objective's value in the current state."""
    best: float
    """The objective's best value so far."""
    latency_ms: float
    """Predicted latency of the current state."""
    temperature: float
    phase: int


@dataclass(frozen=True)
class SearchResult:
    """Candidates that keep every cap, best first.

    Attributes
    ----------
    strategy
        Its name.
    candidates
        What was found.
    values
        The objective of each candidate.
    calls
        Number of subnets predicted (accuracy and latency).
    trace
        How the search went; `best` never falls and `calls` never does.
    """

    strategy: str
    candidates: tuple[Candidate, ...]
    values: tuple[float, ...]
    calls: int
    trace: tuple[TracePoint, ...] = field(repr=False)

    @property
    def best(self) -> Candidate:
        """The first candidate."""
        return self.candidates[0]


Settings = TypeVar("Settings", contravariant=True)


class Strategy(Protocol[Settings]):
    """The interface of every strategy. Raises Infeasible, and InfeasibleBudget when it is the budget alone."""

    def __call__(self, problem: SearchProblem, settings: Settings, rng: np.random.Generator) -> SearchResult: ...
