"""From candidates to a deployed model: verification, validation, baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.int8.scored import Measure
from foxnas.settings.limits import Above0, Count, Least0, Percent, Seed
from foxnas.settings.section import Section


class VerificationConfig(Section):
    """Measuring the candidates for real."""

    sessions: Annotated[int, Field(ge=3)] = 5
    """Separate device sessions per candidate. Disturbed ones are made again, up to as many more."""
    spread_s: Least0 = 2.0
    """A session starts at least so long after the one before, so that they do not all meet the same disturbance."""
    margin_percent: Percent = 1.0
    """A candidate wins only if its upper 95% latency bound, mean + t s / sqrt(n) of its sessions' medians, lies this
    far below the budget."""
    chosen_by: Measure = "top1"
    """What the int8 files of candidates are compared by on the verify split, and those of a winner with and without its
    own training. top1: top-1. probability: the mean probability of the right class, which has less noise, for some
    hundred images; floors and promises stay those of top-1."""


class ValidationConfig(Section):
    """The last word on a deployed model."""

    sessions: Annotated[int, Field(ge=3)] = 5
    """New device sessions per candidate that is tried for deployment, at least. The promise is looked at after so many
    undisturbed ones and whenever they have doubled, until it is decided. Fewer than 5 decide nothing."""
    most_sessions: Count = 40
    """Sessions at most, disturbed ones included; then an open promise stays undecided."""
    spread_s: Least0 = 5.0
    """A session starts at least so long after the one before, so that they do not all meet the same disturbance. The
    candidates of all budgets share sessions."""
    most_candidates: Count | None = None
    """Where new sessions do not confirm the best verified candidate, the next best is tried, and so on, up to so many;
    null: all that were verified."""
    unkept: Literal["fail", "report"] = "fail"
    """What a promise that no model keeps does to the run, whose other budgets and page are finished in any case.
    fail: it ends with one sentence per promise and a non-zero exit status. report: it ends in success."""
    max_drop_percent: Annotated[float, Field(gt=0)] = 1.0
    """int8 may lose at most this many points of top-1 against float: the upper 95% bound of the loss, on the test
    images, has to stay within."""
    accuracy_on: Literal["device", "host"] = "device"
    """Where the deployed file is evaluated on the test images. device: on a device over SSH itself, with the runtime
    that will serve the file. host: this host's runtime, which may differ in the last places but is faster than a small
    board. An Edge TPU is asked in any case."""
    sustained_s: Above0 | None = 10.0
    """Seconds that each deployed model then runs on its device without a pause, each inference timed: the first one,
    the slow ones (p90, p99), and how much slower it gets, stand on its card. It takes so long per budget and device;
    300 shows whether the device throttles when it gets hot. null: not at all."""

    @model_validator(mode="after")
    def _consistent(self) -> ValidationConfig:
        if self.most_sessions < self.sessions:
            raise FoxnasError(
                f"most_sessions is {self.most_sessions}, but sessions is {self.sessions}; raise the first"
            )
        return self


class BaselinesConfig(Section):
    """Baselines that the search has to beat."""

    seed: Seed = 0
    """Seed of the random searches."""
    random_searches: Annotated[int, Field(ge=1)] = 10
    """Random searches, each with as many measurements as the whole method used."""
    extra_subnets: Annotated[int, Field(ge=0)] = 0
    """Further random subnets per image size, measured only for the random searches; 0 resamples the measured ones."""
