"""Every strategy by its name, and all of them side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.problem import SearchProblem, SearchResult, Strategy
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, differentiable, evolution, exact, random, regularised
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.differentiable import DifferentiableSettings
from foxnas.search.strategies.evolution import EvolutionSettings
from foxnas.search.strategies.random import RandomSettings
from foxnas.search.strategies.regularised import RegularisedSettings


@dataclass(frozen=True)
class Named:
    """A strategy, and its settings for a selection and about a number of predictor calls (None: its own)."""

    search: Strategy[Any]
    settings: Callable[[Selection, int | None], Any]


def _annealing(selection: Selection, calls: int | None) -> AnnealingSettings:
    own = AnnealingSettings(selection=selection)
    if calls is None:
        return own
    rounds = own.rounds * calls / own.proposals
    # Fewer calls than a round has: fewer chains, each on the whole schedule.
    chains = max(round(own.chains * min(rounds, 1.0)), 1)
    return dataclasses.replace(own, rounds=max(round(rounds), 1), chains=chains)


def _evolution(selection: Selection, calls: int | None) -> EvolutionSettings:
    own = EvolutionSettings(selection=selection)
    return own if calls is None else dataclasses.replace(own, generations=max(calls // own.population, 1))


def _regularised(selection: Selection, calls: int | None) -> RegularisedSettings:
    own = RegularisedSettings(selection=selection)
    return own if calls is None else dataclasses.replace(own, cycles=max(calls // own.children, 1))


def _differentiable(selection: Selection, calls: int | None) -> DifferentiableSettings:
    own = DifferentiableSettings(selection=selection)
    a_step = own.beginnings * (1 + own.draws / own.draw_every)
    return own if calls is None else dataclasses.replace(own, steps=max(round(calls / a_step), 1))


def _random(selection: Selection, calls: int | None) -> RandomSettings:
    own = RandomSettings(selection=selection)
    return own if calls is None else dataclasses.replace(own, draws=calls)


def _exact_search(problem: SearchProblem, settings: Selection, rng: np.random.Generator) -> SearchResult:
    """Search the frontier where the optimum must lie on it, and by bounds where caps go beyond the predictions."""
    if problem.monotone:
        return exact.search(problem, settings, rng)
    from foxnas.search.capped import solver

    return solver.search(problem, settings, rng)


#: What `search.strategy` may name.
STRATEGIES: Mapping[str, Named] = MappingProxyType(
    {
        "annealing": Named(annealing.search, _annealing),
        "exact": Named(_exact_search, lambda selection, calls: selection),
        "evolution": Named(evolution.search, _evolution),
        "regularised": Named(regularised.search, _regularised),
        "differentiable": Named(differentiable.search, _differentiable),
        "random": Named(random.search, _random),
    }
)

#: What a comparison adds: annealing without its guidance.
UNGUIDED = "annealing, unguided"


def run(
    name: str,
    problem: SearchProblem,
    selection: Selection,
    rng: np.random.Generator,
    *,
    annealing: AnnealingSettings | None = None,
) -> SearchResult:
    """Search by the strategy of a name, with the settings given for annealing and its own for all others.

    Raises FoxnasError for an unknown name, and what the strategy raises.
    """
    if name not in STRATEGIES:
        raise FoxnasError(f"strategy {name!r} is unknown: take one of {', '.join(STRATEGIES)}")
    strategy = STRATEGIES[name]
    settings = strategy.settings(selection, None)
    if name == "annealing" and annealing is not None:
        settings = dataclasses.replace(annealing, selection=selection)
    return strategy.search(problem, settings, rng)


def side_by_side(
    problem: SearchProblem, selection: Selection, calls: int, seed: int
) -> Iterator[tuple[str, SearchResult]]:
    """Yield every strategy that draws random numbers, and annealing without guidance, with about `calls` calls each.

    Annealing is the bare walk, without its polish.
    """
    for name, strategy in STRATEGIES.items():
        if name == "exact":
            continue
        settings = strategy.settings(selection, calls)
        if name == "annealing":
            settings = dataclasses.replace(settings, polish=False)
        yield name, strategy.search(problem, settings, np.random.default_rng(seed))
        if name == "annealing":
            unguided = dataclasses.replace(settings, guided=False)
            yield UNGUIDED, strategy.search(problem, unguided, np.random.default_rng(seed))
