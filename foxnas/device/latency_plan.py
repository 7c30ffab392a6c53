"""What is timed on a device to know the latency of every subnet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.settings.section import Section

#: As the config spells them.
PlanName = Literal["subnets", "blocks", "auto"]


class LatencyPlanConfig(Section):
    """What is timed on a device: all sampled subnets, or the space's blocks and few subnets."""

    plan: PlanName = "subnets"
    """subnets: all that are sampled. blocks: every block of the space once, in chains of it, and few subnets a size
    that calibrate their sum; for kind tflite and latency_form layers (docs/how-to/time-blocks.md). auto: blocks where
    they can be, else subnets."""
    calibration_subnets: Annotated[int, Field(ge=10, le=100)] = 20
    """Subnets of each image size that are timed with plan blocks, the first of the sample."""
