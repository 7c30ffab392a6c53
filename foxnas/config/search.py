"""Finding candidates with the predictors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from foxnas.config.section import Count, Percent, Section


class AnnealingConfig(Section):
    """Simulated annealing, Algorithm 1 of the paper; `foxnas.search.annealing` says more of each."""

    seed: int
    """Of the walk."""
    initial_temperature: Count
    """T: the temperature, and the largest number of knobs changed in a step."""
    proposals_per_temperature: Count
    """n: the temperature falls by one after so many proposals of a chain."""
    boltzmann: Annotated[float, Field(gt=0)]
    """k, in points of accuracy: a loss of k x T is accepted with probability 1/e."""
    switch_after: Annotated[int, Field(ge=0)] | None
    """Proposals after which the guidance switches to its second set of weights; null: 2n."""
    rounds: Count
    """How often the schedule runs."""
    chains: Count
    """Walks side by side, each on the whole schedule."""
    guided: bool
    """false: every knob is equally likely."""


class SearchConfig(Section):
    """Finding candidates with the predictors."""

    reserves_percent: Annotated[list[Percent], Field(min_length=1)]
    """Search this far below the budget: the predictor errs, and a promise has to be kept."""
    candidates: Count
    """Candidates per reserve."""
    incumbents: Annotated[int, Field(ge=0)]
    """Best subnets among those measured anyway that are verified beside the candidates."""
    annealing: AnnealingConfig
