"""Which subnets are measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from foxnas.config.section import Section


class SamplingConfig(Section):
    """Which subnets are measured."""

    seed: int
    """Of the sample."""
    subnets: Annotated[int, Field(ge=60)]
    """Subnets per image size (the paper: 300). Raising it measures only the new ones."""
