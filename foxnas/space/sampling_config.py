"""Which subnets are measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from foxnas.settings.limits import Seed
from foxnas.settings.section import Section
from foxnas.space.design_names import Design


class SampleConfig(Section):
    """An endless sequence of subnets per image size; the first of it are measured."""

    seed: Seed = 0
    """Seed of the sample."""
    design: Design = "uniform"
    """uniform: the paper's, uniform over knobs. i-optimal: the next subnet is the one that best determines predictions
    over the whole space, given those before, until all terms are determined, and uniform from there on; it needs fewer
    of them (docs/explanation/sampling.md). d-optimal: best determines the coefficients, likewise."""


class SamplingConfig(SampleConfig):
    """Which subnets are measured."""

    subnets: Annotated[int, Field(ge=60)] = 300
    """Subnets per image size (the paper: 300). Raising it measures only the new ones."""
