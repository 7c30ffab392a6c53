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
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.features import FloatArray
from foxnas.search.guidance import Knob, main_effects, phase_weights
from foxnas.search.landscape import Landscape, UnitLayers
from foxnas.search.problem import Pool, SearchProblem, SearchResult, Selection, TracePoint, select

#: Share of the moves on the layers after the first that change one layer only.
ONE_LAYER = 0.3

State = tuple[int, tuple[UnitLayers, ...]]
"""Index of the image size, and the layers of each unit."""


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
    proposals_per_temperature: int = 2500
    boltzmann: float = 0.01
    switch_after: int | None = None
    rounds: int = 28
    guided: bool = True
    trace_every: int = 500
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("initial_temperature", "proposals_per_temperature", "rounds", "trace_every"):
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
        return self.rounds * self.initial_temperature * self.proposals_per_temperature

    @property
    def switch(self) -> int:
        """Proposals of a round before the second weights are used."""
        return 2 * self.proposals_per_temperature if self.switch_after is None else self.switch_after


def search(problem: SearchProblem, settings: AnnealingSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best states that annealing saw within the budget, diverse, best first, and a trace.

    Reproducible by the generator's seed. Raises InfeasibleBudget, with the fastest architecture, when there is none.
    """
    problem.require_feasible()
    walk = _Walk(problem, Random(int(rng.integers(2**63))))
    effects = main_effects(problem.landscape)
    weights = phase_weights(effects)
    if not settings.guided:
        weights = (np.full(len(effects.knobs), 1 / len(effects.knobs)),) * 2
    phases = [_Phase(effects.knobs, w) for w in weights]
    pool, trace = Pool(settings.selection.pool), []
    n, uniform, exp = settings.proposals_per_temperature, walk.random.random, math.exp

    starts = walk.starts()
    best = -math.inf
    step = 0
    for number in range(settings.rounds):
        home = list(starts)[number % len(starts)]
        state = starts[home]
        accuracy, latency_ms, classes = walk.predict(state)
        pool.offer(accuracy, state[0], classes)
        best, best_here = max(best, accuracy), accuracy
        for in_round in range(settings.initial_temperature * n):
            temperature = settings.initial_temperature - in_round // n
            second = in_round >= settings.switch
            if step % settings.trace_every == 0:
                trace.append(TracePoint(step, walk.calls, accuracy, best, latency_ms, temperature, 1 + second))
            step += 1
            proposed = walk.propose(state, phases[second], temperature)
            value, proposed_ms, classes = walk.predict(proposed)
            if proposed_ms > problem.budget_ms:
                continue
            if value > pool.threshold:
                pool.offer(value, proposed[0], classes)
            if value >= accuracy or uniform() < exp((value - accuracy) / (settings.boltzmann * temperature)):
                state, accuracy, latency_ms = proposed, value, proposed_ms
                if state[0] == home and value > best_here:
                    starts[home], best_here = state, value
                if value > best:
                    best = value
                    trace.append(TracePoint(step, walk.calls, value, best, latency_ms, temperature, 1 + second))
    trace.append(TracePoint(step, walk.calls, accuracy, best, latency_ms, temperature, 1 + second))
    candidates = select(problem.landscape, pool.points(), settings.selection)
    return SearchResult("annealing", candidates, walk.calls, tuple(trace))


class _Phase:
    """Draws distinct knobs by weight."""

    def __init__(self, knobs: Sequence[Knob], weights: FloatArray) -> None:
        drawn = np.flatnonzero(weights > 0).tolist()
        self.knobs = [knobs[i] for i in drawn]
        self._cumulative = list(accumulate(weights[drawn].tolist()))

    def draw(self, count: int, random: Random) -> list[Knob]:
        """Return `count` distinct knobs, or all when there are fewer; after 20 x count repeats, fewer."""
        if count >= len(self.knobs):
            return self.knobs
        last, chosen = len(self.knobs) - 1, []
        for _ in range(20 * count):
            index = min(bisect(self._cumulative, random.random() * self._cumulative[-1]), last)
            if index not in chosen:
                chosen.append(index)
                if len(chosen) == count:
                    break
        return [self.knobs[i] for i in chosen]


class _Walk:
    """Moves through the space and predicts; counts its predictions."""

    def __init__(self, problem: SearchProblem, random: Random) -> None:
        self.calls = 0
        self.random = random
        self._problem = problem
        landscape: Landscape = problem.landscape
        self._landscape = landscape
        self._classes: dict[UnitLayers, int] = {}
        # Lists: single items of numpy arrays cost several times as much.
        self._accuracy = landscape.accuracy_tables.tolist()
        self._latency = landscape.latency_tables_ms.tolist()
        self._intercepts = list(
            zip(landscape.accuracy_intercepts.tolist(), landscape.latency_intercepts_ms.tolist(), strict=True)
        )
        space = landscape.space
        sizes = tuple(range(len(landscape.image_sizes)))
        self._others_size = _others(sizes)
        self._others_depth = _others(space.depths)
        self._others_layer = (_others(space.kernel_sizes), _others(space.expansion_ratios))

    def starts(self) -> dict[int, State]:
        """Return where rounds begin: by image size, its fastest architecture, if that is within the budget.

        A change of size alone breaks the budget or leaves it far behind, so a walk seldom crosses sizes; rounds
        therefore begin at every size in turn, at the best state seen there, and size stays a parameter like others.
        """
        fastest = self._landscape.fastest_by_size
        states = {point.size: (point.size, self._landscape.arch(point).units) for point in fastest}
        return {size: state for size, state in states.items() if self.predict(state)[1] <= self._problem.budget_ms}

    def predict(self, state: State) -> tuple[float, float, list[int]]:
        """Return predicted accuracy, latency (ms), and the class of each unit."""
        self.calls += 1
        size, units = state
        known = self._classes
        try:
            classes = [known[unit] for unit in units]
        except KeyError:
            for unit in units:
                known[unit] = self._landscape.class_of(unit)
            classes = [known[unit] for unit in units]
        accuracy, latency_ms = self._intercepts[size]
        for index, gain, cost in zip(classes, self._accuracy[size], self._latency[size], strict=True):
            accuracy += gain[index]
            latency_ms += cost[index]
        return accuracy, latency_ms, classes

    def propose(self, state: State, phase: _Phase, moves: int) -> State:
        """Return a copy of `state` with min(moves, knobs with weight) parameters changed."""
        size, units = state
        changed = list(units)
        for kind, place in phase.draw(moves, self.random):
            if kind == "size":
                size = self._pick(self._others_size[size])
            elif kind == "D":
                changed[place] = self._deepen(changed[place])
            else:
                axis = 0 if kind[0] == "K" else 1
                changed[place] = self._relayer(changed[place], axis, first=kind.endswith("first"))
        return size, tuple(changed)

    def _deepen(self, unit: UnitLayers) -> UnitLayers:
        depth = self._pick(self._others_depth[len(unit)])
        # A new layer repeats the last one: with a random one, depth would nearly always look bad at first.
        return unit[:depth] if depth < len(unit) else unit + unit[-1:] * (depth - len(unit))

    def _relayer(self, unit: UnitLayers, axis: int, first: bool) -> UnitLayers:
        random = self.random.random
        index = 0 if first else 1 + int(random() * (len(unit) - 1))
        value = self._pick(self._others_layer[axis][unit[index][axis]])
        if first or random() < ONE_LAYER:
            layer = (value, unit[index][1]) if axis == 0 else (unit[index][0], value)
            return (*unit[:index], layer, *unit[index + 1 :])
        if axis == 0:
            return (unit[0], *[(value, e) for _, e in unit[1:]])
        return (unit[0], *[(k, value) for k, _ in unit[1:]])

    def _pick(self, choices: tuple[int, ...]) -> int:
        return choices[int(self.random.random() * len(choices))]


def _others(choices: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """For each choice, the other ones."""
    return {choice: tuple(c for c in choices if c != choice) for choice in choices}
