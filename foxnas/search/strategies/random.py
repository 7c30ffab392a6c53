"""Unguided random search: the baseline of every other strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.record import Record
from foxnas.search.selection import Selection
from foxnas.search.strategies.genome import Genome

#: Architectures predicted at a time.
_ROWS = 1000


@dataclass(frozen=True)
class RandomSettings:
    """Settings of random search: `draws` subnets, uniform over knobs, infeasible ones included."""

    draws: int = 20_000
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise FoxnasError(f"random search: draws {self.draws} must be at least 1")


def search(problem: SearchProblem, settings: RandomSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best of `settings.draws` random subnets that keep every cap.

    When none of them does, the only candidate is the fastest architecture, or one near it. Raises Infeasible.
    """
    problem.require_feasible()
    genome, record = Genome(problem.landscape), Record(problem, settings.selection)
    for start in range(0, settings.draws, _ROWS):
        record.see(*genome.decode(genome.draw(min(_ROWS, settings.draws - start), rng)))
    return record.finish("random")
