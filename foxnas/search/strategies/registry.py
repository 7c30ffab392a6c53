"""Every strategy by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.problem import SearchProblem, SearchResult, Strategy
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, autoshrink, differentiable, evolution, exact, random, regularised
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.autoshrink import AutoShrinkSettings
from foxnas.search.strategies.differentiable import DifferentiableSettings
from foxnas.search.strategies.evolution import EvolutionSettings
from foxnas.search.strategies.random import RandomSettings
from foxnas.search.strategies.regularised import RegularisedSettings


@dataclass(frozen=True)
class Named:
    """A strategy, and its own settings for a selection."""

    search: Strategy[Any]
    settings: Callable[[Selection], Any]


def _exact_search(problem: SearchProblem, settings: Selection, rng: np.random.Generator) -> SearchResult:
    """Search the frontier where the optimum must lie on it, and by bounds where caps go beyond the predictions."""
    if problem.monotone:
        return exact.search(problem, settings, rng)
    from foxnas.search.capped import solver

    return solver.search(problem, settings, rng)


#: What `search.strategy` may name.
STRATEGIES: Mapping[str, Named] = MappingProxyType(
    {
        "annealing": Named(annealing.search, lambda selection: AnnealingSettings(selection=selection)),
        "exact": Named(_exact_search, lambda selection: selection),
        "evolution": Named(evolution.search, lambda selection: EvolutionSettings(selection=selection)),
        "regularised": Named(regularised.search, lambda selection: RegularisedSettings(selection=selection)),
        "differentiable": Named(differentiable.search, lambda selection: DifferentiableSettings(selection=selection)),
        "autoshrink": Named(autoshrink.search, lambda selection: AutoShrinkSettings(selection=selection)),
        "random": Named(random.search, lambda selection: RandomSettings(selection=selection)),
    }
)


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
    settings = strategy.settings(selection)
    if name == "annealing" and annealing is not None:
        settings = dataclasses.replace(annealing, selection=selection)
    return strategy.search(problem, settings, rng)
