"""Simulated annealing, Algorithm 1 of the paper, as we read it.

The paper's text and its pseudocode disagree; this is our reading:

- T is an integer, and both the temperature and the number of parameters changed in a step: min(T, knobs with weight).
- T falls from T0 to 1, by one every n proposals, whether or not they were accepted.
- Which parameters are changed is drawn from one of two sets of weights (`foxnas.search.guidance`), switched after a
  number of proposals of its own, 2n unless set.
- A worse subnet is accepted when r < exp(delta / kT), Metropolis' rule; the printed test, r > exp(-delta / kT) for
  delta <= 0, can never accept one. delta is the change of predicted accuracy, k is in the accuracy's unit.
- The budget is never broken: a proposal above it is rejected.
- The schedule is repeated for a number of rounds, each from the best state so far; the best states ever seen are
  returned, not the last.

A parameter is one of the paper's (`Knob`): the image size, D, and K and E of the first and of the other layers of a
unit. Layers need not be alike: a move on the layers after the first changes one of them, or sets all to one choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.guidance import main_effects, phase_weights
from foxnas.search.moves import Draws, Moves
from foxnas.search.problem import SearchProblem, SearchResult, Selection
from foxnas.search.record import Record


@dataclass(frozen=True)
class AnnealingSettings:
    """Settings of annealing; a run makes rounds x T0 x n proposals.

    Attributes
    ----------
    initial_temperature
        T0, an integer of at least 1.
    proposals_per_temperature
        n: T falls by one after so many.
    boltzmann
        k, in the accuracy's unit (points of top-1): a loss of k x T is accepted with probability 1/e.
    switch_after
        Proposals of a round after which the second weights take over; None: 2n.
    rounds
        How often the schedule runs: at the image sizes that can meet the budget in turn, each time from the best
        state seen at that size.
    guided
        False: every parameter is equally likely in both phases.
    trace_every
        Proposals between two points of the trace; improvements are always in it.
    selection
        Which states become candidates.
    """

    initial_temperature: int = 4
    proposals_per_temperature: int = 100
    boltzmann: float = 0.01
    switch_after: int | None = None
    rounds: int = 4
    chains: int = 64
    guided: bool = True
    trace_every: int = 10
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("initial_temperature", "proposals_per_temperature", "rounds", "chains", "trace_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise FoxnasError(f"annealing: {name} {value!r} must be a whole number of at least 1")
        if not (math.isfinite(self.boltzmann) and self.boltzmann > 0):
            raise FoxnasError(f"annealing: boltzmann {self.boltzmann} must be above 0, in points of accuracy")
        if self.switch_after is not None and self.switch_after < 0:
            raise FoxnasError(f"annealing: switch_after {self.switch_after} must be at least 0, or null for 2n")

    @property
    def proposals(self) -> int:
        """Proposals of a run."""
        return self.rounds * self.initial_temperature * self.proposals_per_temperature * self.chains

    @property
    def switch(self) -> int:
        """Proposals of a round before the second weights are used."""
        return 2 * self.proposals_per_temperature if self.switch_after is None else self.switch_after

    def phases(self, done: int) -> Iterator[tuple[int, int]]:
        """Yield phases (1, 2) and their numbers of steps, for the temperature that begins after `done` proposals."""
        first = min(max(self.switch - done, 0), self.proposals_per_temperature)
        if first:
            yield 1, first
        if first < self.proposals_per_temperature:
            yield 2, self.proposals_per_temperature - first


def search(problem: SearchProblem, settings: AnnealingSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best states that annealing saw, diverse, best first, and a trace.

    Reproducible by the generator's seed. Raises Infeasible, InfeasibleBudget with the fastest architecture.
    """
    record = Record(problem, settings.selection)
    landscape = problem.landscape
    moves = Moves(landscape)
    weights = phase_weights(main_effects(landscape))
    if not settings.guided:
        weights = (np.full(len(moves.knobs), 1 / len(moves.knobs)),) * 2
    # A change of size alone breaks the budget or leaves it far behind, so a walk seldom crosses sizes; chains
    # therefore begin at every size in turn, at the best state seen there, and size stays a knob like others.
    starts = record.starts()
    homes = np.arange(settings.chains) % len(starts)
    begun = np.array([[point.size, *point.classes] for point in starts])
    states = begun[homes]
    values = record.see(begun[:, 0], begun[:, 1:])[homes]
    n, step = settings.proposals_per_temperature, 0
    elites, elite_values = states.copy(), values.copy()
    for number in range(settings.rounds):
        for temperature in range(settings.initial_temperature, 0, -1):
            done = (settings.initial_temperature - temperature) * n
            for phase, number_of_steps in settings.phases(done):
                draws = Draws(moves, weights[phase - 1], settings.chains, temperature, rng)
                for knobs, uniform, accept in draws.steps(number_of_steps):
                    if step % settings.trace_every == 0:
                        record.note(int(states[0, 0]), states[0, 1:], float(values[0]), temperature, phase)
                    step += 1
                    proposed = moves.apply(states, knobs, uniform)
                    found = record.see(proposed[:, 0], proposed[:, 1:], temperature, phase)
                    with np.errstate(over="ignore"):
                        taken = accept < np.exp((found - values) / (settings.boltzmann * temperature))
                    states[taken], values[taken] = proposed[taken], found[taken]
                    better = values > elite_values
                    elites[better], elite_values[better] = states[better], values[better]
        if number + 1 < settings.rounds:
            for home in range(len(starts)):
                at = np.flatnonzero(homes == home)
                best = at[elite_values[at].argmax()]
                states[at], values[at] = elites[best], elite_values[best]
    record.note(int(states[0, 0]), states[0, 1:], float(values[0]), temperature, phase)
    return record.finish("annealing")
