"""All strategies side by side, each with about the same number of predictor calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.selection import Selection
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.autoshrink import AutoShrinkSettings
from foxnas.search.strategies.differentiable import DifferentiableSettings
from foxnas.search.strategies.evolution import EvolutionSettings
from foxnas.search.strategies.random import RandomSettings
from foxnas.search.strategies.registry import STRATEGIES
from foxnas.search.strategies.regularised import RegularisedSettings

#: Annealing without its guidance, which takes part besides.
UNGUIDED = "annealing, unguided"


def _annealing(own: AnnealingSettings, calls: int) -> AnnealingSettings:
    rounds = own.rounds * calls / own.proposals
    # Fewer calls than a round has: fewer chains, each on the whole schedule.
    chains = max(round(own.chains * min(rounds, 1.0)), 1)
    return dataclasses.replace(own, rounds=max(round(rounds), 1), chains=chains, polish=False)


def _evolution(own: EvolutionSettings, calls: int) -> EvolutionSettings:
    return dataclasses.replace(own, generations=max(calls // own.population, 1))


def _regularised(own: RegularisedSettings, calls: int) -> RegularisedSettings:
    return dataclasses.replace(own, cycles=max(calls // own.children, 1))


def _differentiable(own: DifferentiableSettings, calls: int) -> DifferentiableSettings:
    a_step = own.beginnings * (1 + own.draws / own.draw_every)
    return dataclasses.replace(own, steps=max(round(calls / a_step), 1))


def _autoshrink(own: AutoShrinkSettings, calls: int) -> AutoShrinkSettings:
    return dataclasses.replace(own, calls=calls)


def _random(own: RandomSettings, calls: int) -> RandomSettings:
    return dataclasses.replace(own, draws=calls)


#: Every strategy that draws random numbers: its own settings, and about so many calls, to the settings of a run.
_LIMITED: Mapping[str, Callable[[Any, int], Any]] = {
    "annealing": _annealing,
    "evolution": _evolution,
    "regularised": _regularised,
    "differentiable": _differentiable,
    "autoshrink": _autoshrink,
    "random": _random,
}


def side_by_side(
    problem: SearchProblem, selection: Selection, calls: int, seed: int
) -> Iterator[tuple[str, SearchResult]]:
    """Yield every strategy that draws random numbers, and annealing without guidance, with about `calls` calls each.

    Annealing is the bare walk, without its polish.
    """
    for name, limit in _LIMITED.items():
        strategy = STRATEGIES[name]
        settings = limit(strategy.settings(selection), calls)
        yield name, strategy.search(problem, settings, np.random.default_rng(seed))
        if name == "annealing":
            unguided = dataclasses.replace(settings, guided=False)
            yield UNGUIDED, strategy.search(problem, unguided, np.random.default_rng(seed))
