"""Simulated annealing, Algorithm 1 of the paper, as we read it.

The paper's text and its pseudocode disagree; this is our reading:

- T is an integer, and both the temperature and the number of parameters changed in a step: min(T, knobs with weight).
- T falls from T0 to 1, by one every n proposals, whether or not they were accepted.
- Which parameters are changed, and to which values, is drawn by one of two sets of weights
  (`foxnas.search.strategies.guidance`), switched after a number of proposals of its own, 2n unless set.
- A worse subnet is accepted when r < exp(delta / kT), Metropolis' rule; the printed test, r > exp(-delta / kT) for
  delta <= 0, can never accept one. delta is the change of the objective (predicted accuracy), k is in its unit.
- The budget is never broken: a proposal above it is rejected.
- The best states ever seen are returned, not the last.

Ours beyond the paper: many chains walk side by side, which in numpy costs little more than one; the schedule is
repeated for a number of rounds, in which every other chain begins at the best state so far and the rest afresh; and
the best ends are polished, greedily, by changes of one or two knobs. Guidance and polish can be switched off.

A parameter is one of the paper's (`Knob`): the image size, D, and K and E of the first and of the other layers of a
unit. Layers need not be alike: a move on the layers after the first changes one of them, or sets all to one choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from foxnas.search.config import Annealing
from foxnas.search.landscape import IndexArray
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.record import Record
from foxnas.search.selection import Selection
from foxnas.search.strategies.guidance import main_effects, phase_weights, value_weights
from foxnas.search.strategies.moves import Moves
from foxnas.settings.limits import Count
from foxnas.space.terms import FloatArray

#: States that are polished.
_POLISHED = 6

#: Steps of the polish; each is an improvement, so it ends by itself long before.
_POLISHES = 1000


@dataclass(frozen=True)
class AnnealingSettings(Annealing):
    """Settings of a run: those of a config, of which k is in the objective's unit, and what it gives back."""

    trace_every: Count = 10
    """Proposals of a chain between two points of the trace, of the first chain; improvements always are points."""
    selection: Selection = field(default_factory=Selection)
    """Which states become candidates."""

    @property
    def proposals(self) -> int:
        """Proposals of a run before the polish."""
        return self.rounds * self.initial_temperature * self.proposals_per_temperature * self.chains

    @property
    def switch(self) -> int:
        """Proposals of a round before the second weights are used."""
        return 2 * self.proposals_per_temperature if self.switch_after is None else self.switch_after

    def temperature_after(self, proposals: int) -> int:
        """Return T after this number of proposals of a round."""
        return max(self.initial_temperature - proposals // self.proposals_per_temperature, 1)

    def phases(self, temperature: int) -> Iterator[tuple[int, int]]:
        """Yield phases (1, 2) and their numbers of proposals at a temperature."""
        done = (self.initial_temperature - temperature) * self.proposals_per_temperature
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
    moves = Moves(problem.landscape)
    guidance = _guidance(problem, moves, settings)
    # A change of size alone breaks the budget or leaves it far behind, so a walk seldom crosses sizes; chains
    # therefore begin at every size in turn, at the best state seen there, and size stays a knob like others.
    starts = np.array([[point.size, *point.classes] for point in record.starts()])
    homes = np.arange(settings.chains) % len(starts)
    walk = _Walk(record, moves, settings, starts[homes], record.see(starts[:, 0], starts[:, 1:])[homes], rng)
    for number in range(settings.rounds):
        for temperature in range(settings.initial_temperature, 0, -1):
            for phase, proposals in settings.phases(temperature):
                walk.run(guidance[phase], proposals, temperature, phase)
        if number + 1 < settings.rounds:
            walk.restart(homes)
    if settings.polish:
        walk.polish()
    walk.note(1, phase)
    return record.finish("annealing")


def _guidance(problem: SearchProblem, moves: Moves, settings: AnnealingSettings) -> dict[int, _Guidance]:
    """Return the weights of phases 1 and 2."""
    if not settings.guided:
        even = np.full(len(moves.knobs), 1 / len(moves.knobs))
        unguided = _Guidance(even, [possible / possible.sum() for possible in moves.possible])
        return {1: unguided, 2: unguided}
    matters, worth = phase_weights(main_effects(problem.landscape))
    hot, cool = settings.initial_temperature, settings.temperature_after(settings.switch)
    return {
        phase: _Guidance(weights, value_weights(problem, settings.boltzmann * temperature))
        for phase, weights, temperature in ((1, matters, hot), (2, worth, cool))
    }


class _Guidance(NamedTuple):
    """Weights of the knobs, and of each knob's values."""

    knobs: FloatArray
    values: Sequence[FloatArray]


class _Walk:
    """Chains side by side: their states, and the best state each has seen."""

    def __init__(
        self,
        record: Record,
        moves: Moves,
        settings: AnnealingSettings,
        states: IndexArray,
        values: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self._record, self._moves, self._settings, self._rng = record, moves, settings, rng
        self._states, self._values = states, values
        self._start, self._start_values = states.copy(), values.copy()
        self._best, self._best_values = states.copy(), values.copy()
        self._ended: list[IndexArray] = []
        self._step = 0

    def run(self, guidance: _Guidance, proposals: int, temperature: int, phase: int) -> None:
        """Make a number of proposals in every chain."""
        chains = len(self._states)
        scale = self._settings.boltzmann * temperature
        accept = self._rng.random((proposals, chains))
        drawn = self._moves.draw(guidance.knobs, guidance.values, proposals, chains, temperature, self._rng)
        for uniform, (knobs, values, variants) in zip(accept, drawn, strict=True):
            if self._step % self._settings.trace_every == 0:
                self.note(temperature, phase)
            self._step += 1
            proposed = self._moves.apply(self._states, knobs, values, variants)
            # A knob that is given the value it has proposes nothing, and nothing need be predicted.
            rows = np.flatnonzero((proposed != self._states).any(axis=1))
            proposed = proposed[rows]
            found = self._record.see(proposed[:, 0], proposed[:, 1:], temperature, phase)
            delta = np.minimum(found - self._values[rows], 0)
            taken = uniform[rows] < np.exp(delta / scale)
            rows, found, proposed = rows[taken], found[taken], proposed[taken]
            self._states[rows], self._values[rows] = proposed, found
            better = found > self._best_values[rows]
            self._best[rows[better]], self._best_values[rows[better]] = proposed[better], found[better]

    def restart(self, homes: IndexArray) -> None:
        """Put every other chain of a home at the best state that its chains have seen, and the rest at their start."""
        for home in np.unique(homes):
            at = np.flatnonzero(homes == home)
            best = at[self._best_values[at].argmax()]
            self._ended.append(np.unique(self._best[at], axis=0))
            self._states[at], self._values[at] = self._start[at], self._start_values[at]
            self._states[at[::2]], self._values[at[::2]] = self._best[best], self._best_values[best]
            self._best[at], self._best_values[at] = self._states[at], self._values[at]

    def polish(self) -> None:
        """Improve the best states that chains ended with by the best change of one or two knobs, until none does."""
        states = np.unique(np.concatenate([*self._ended, self._best]), axis=0)
        # They have been predicted before, so that these are no new calls.
        problem = self._record.problem
        values = problem.values(problem.landscape.batch(states[:, 0], states[:, 1:]))
        for at in np.argsort(-values, kind="stable")[:_POLISHED]:
            state, value = states[at], values[at]
            for _ in range(_POLISHES):
                around = self._moves.around(state)
                found = self._record.see(around[:, 0], around[:, 1:], 0.0, 2)
                if not found.max() > value:
                    break
                state, value = around[found.argmax()], found.max()

    def note(self, temperature: int, phase: int) -> None:
        """Add the state of the first chain to the trace."""
        state = self._states[0]
        self._record.note(int(state[0]), state[1:], float(self._values[0]), temperature, phase)
