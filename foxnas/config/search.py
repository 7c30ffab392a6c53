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
    """false: every knob and every value is equally likely."""
    polish: bool
    """End with the best changes of one or two knobs, until none improves the best states."""


class SearchConfig(Section):
    """Finding candidates with the predictors."""

    reserves_percent: Annotated[list[Percent], Field(min_length=1)]
    """Search this far below the budget: the predictor errs, and a promise has to be kept."""
    candidates: Count
    """Candidates per reserve."""
    incumbents: Annotated[int, Field(ge=0)]
    """Best subnets among those measured anyway that are verified beside the candidates."""
    annealing: AnnealingConfig


class RefinementConfig(Section):
    """What follows the first measured candidates."""

    rounds: Annotated[int, Field(ge=1, le=9)]
    """Rounds of search at most; each further one adds what was measured to the fit first. 1: the fit stays as it is."""
    settled_points: Annotated[float, Field(ge=0)]
    """A further round is left out when adding those measurements moved the frontier by less, in points of accuracy."""
    twists: Annotated[int, Field(ge=0)]
    """Single-knob moves away from the best measured candidate that are measured, too (section 3.3 of the paper)."""
