"""The regressions."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from foxnas.errors import FoxnasError
from foxnas.predictor.forms import Form
from foxnas.predictor.link import LinkChoice, Sizes
from foxnas.settings.limits import Count, Name, Seed
from foxnas.settings.section import HostPath, Section, no_wildcards


class RivalsConfig(Section):
    """Other predictors on the same measurements: Once-for-All's network, boosted trees, ridge, a lookup table."""

    training_subnets: list[Annotated[int, Field(ge=20)]] = Field(default=[50, 100, 200, 300], min_length=1)
    """Numbers of subnets per size that all learn from; a tenth of those measured is held out and never among them."""
    repeats: Count = 1
    """How often, each time with other held-out subnets; ten hold each out once."""
    network_steps: Count = 300
    """Steps of the neural network's training."""


class FurtherTargetConfig(Section):
    """Anything else that was measured of every subnet on a device: fitted and reported, not searched for."""

    name: Name
    """What it is called in files and on the page."""
    column: str
    """Its column in the table."""
    unit: str
    """For axes and tables, such as ms, mJ or MB."""
    form: Form = "paper"
    """Form of the fit that is shown in full; the others stand beside it."""
    table: Annotated[HostPath, AfterValidator(partial(no_wildcards, but=("{device}", "{size}")))] | None = None
    """A CSV file of your own with columns arch (as in accuracy.csv) and the above, where {device} and {size} stand for
    their names, such as energy/{device}-{size}.csv; null: the device's latency table (p10_ms, p90_ms, mad_ms, ...)."""


class PredictorsConfig(Section):
    """The regressions. All targets and forms are fitted and reported; these are the ones the search uses."""

    accuracy_target: Literal["top1", "probability"] = "top1"
    """What the search maximises: top-1, or the (less noisy) mean probability of the correct class."""
    accuracy_form: Form = "quadratic"
    """paper: equation 2's terms; quadratic-k: and a curved effect of K; quadratic: of K and E; layers: every layer adds
    its own share. -shrunk: the same terms, drawn towards zero as far as cross-validation likes it; for few subnets."""
    accuracy_link: LinkChoice = "auto"
    """identity: the paper's, accuracy is a sum over units. log-complement: -log(c - accuracy) is, which saturates at c,
    found by leave-one-out. auto: at each image size the one with the smaller cross-validated error."""
    accuracy_sizes: Sizes = "apart"
    """apart: the paper's, each image size is fitted to its own subnets. together: sizes share what their coefficients
    have in common, as far as leave-one-out likes it; for few subnets a size (docs/explanation/predictors.md)."""
    latency_form: Form = "paper"
    """Likewise for latency."""
    folds: Annotated[int, Field(ge=2)] = 10
    """Folds of the cross-validation."""
    seed: Seed = 0
    """Deals the subnets out to the folds."""
    rivals: RivalsConfig | None = None
    """What `snakemake compare_predictors` does; null: as below."""
    further_targets: list[FurtherTargetConfig] = Field(default=[])
    """Energy, memory, another latency statistic."""

    @field_validator("further_targets")
    @classmethod
    def _names(cls, targets: list[FurtherTargetConfig]) -> list[FurtherTargetConfig]:
        taken = ["accuracy", "latency", "top1", "probability"]
        for target in targets:
            if target.name in taken:
                raise FoxnasError(f"{target.name!r} is taken; give this target another name")
            taken.append(target.name)
        return targets

    def further(self, name: str) -> FurtherTargetConfig:
        """Return the further target of a name."""
        return next(target for target in self.further_targets if target.name == name)
