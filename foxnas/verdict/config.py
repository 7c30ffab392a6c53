"""From candidates to a deployed model: verification, int8 export, validation, baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.settings.limits import Count, Percent, Seed
from foxnas.settings.section import Section


class VerificationConfig(Section):
    """Measuring the candidates for real."""

    sessions: Annotated[int, Field(ge=3)] = 5
    """Separate device sessions per candidate."""
    margin_percent: Percent = 1.0
    """A candidate wins only if its upper 95% latency bound lies this far below the budget."""


class ExportConfig(Section):
    """int8 export."""

    calibration_images: Count = 256
    """Images of the train split that set the int8 ranges."""


class ValidationConfig(Section):
    """The last word on a deployed model."""

    sessions: Annotated[int, Field(ge=3)] = 5
    """New device sessions for the deployed file."""
    max_drop_percent: Annotated[float, Field(gt=0)] = 1.0
    """int8 may lose at most this many points of top-1 against float."""
    accuracy_on: Literal["device", "host"] = "device"
    """Where the deployed file is evaluated on the test images. device: on a device over SSH itself, with the runtime
    that will serve the file. host: this host's runtime, which may differ in the last places but is faster than a small
    board. An Edge TPU is asked in any case."""


class BaselinesConfig(Section):
    """Baselines that the search has to beat."""

    seed: Seed = 0
    """Seed of the random searches."""
    random_searches: Annotated[int, Field(ge=1)] = 10
    """Random searches, each with as many measurements as the whole method used."""
    extra_subnets: Annotated[int, Field(ge=0)] = 0
    """Further random subnets per image size, measured only for the random searches; 0 resamples the measured ones."""
