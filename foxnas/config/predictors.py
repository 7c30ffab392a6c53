"""The regressions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.config.section import Count, Section
from foxnas.predictor.forms import Form


class RivalsConfig(Section):
    """Other predictors on the same measurements: Once-for-All's neural network, boosted trees, ridge, a lookup table."""

    training_subnets: Annotated[list[Annotated[int, Field(ge=20)]], Field(min_length=1)]
    """Numbers of subnets a size that all learn from; a tenth of the measured subnets is held out and never among them."""
    repeats: Count
    """How often, each time with other held-out subnets; ten hold each out once."""
    network_steps: Count
    """Steps of the neural network's training."""


class PredictorsConfig(Section):
    """The regressions. All targets and forms are fitted and reported; these are the ones the search uses."""

    accuracy_target: Literal["top1", "probability"]
    """What the search maximises: top-1, or the (less noisy) mean probability of the correct class."""
    accuracy_form: Form
    """paper: equation 2's terms; quadratic-k: and a curved effect of K; quadratic: of K and E; layers: every layer adds
    its own share. -shrunk: the same terms, drawn towards zero as far as cross-validation likes it; for few subnets."""
    latency_form: Form
    """Likewise for latency."""
    folds: Annotated[int, Field(ge=2)]
    """Folds of the cross-validation."""
    seed: int
    """Deals the subnets out to the folds."""
    rivals: RivalsConfig | None
    """null compares with none."""
