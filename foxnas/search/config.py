"""Finding candidates with the predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.search.goal import Caps
from foxnas.settings.limits import Above0, Count, Flag, Index, Percent, Seed, Settings
from foxnas.settings.section import Section


@dataclass(frozen=True)
class Annealing(Settings):
    """Simulated annealing, Algorithm 1 of the paper; rounds x chains x T x n proposals, and the polish."""

    initial_temperature: Count = 4
    """T: the temperature, and the largest number of knobs changed in a step."""
    proposals_per_temperature: Count = 60
    """n: the temperature falls by one after this number of proposals of a chain."""
    boltzmann: Above0 = 0.01
    """k, in points of accuracy: a loss of k x T is accepted with probability 1/e."""
    switch_after: Index | None = None
    """Proposals after which the guidance switches to its second set of weights; null: 2n."""
    rounds: Count = 8
    """How often the schedule runs."""
    chains: Count = 32
    """Walks side by side, each on the whole schedule."""
    guided: Flag = True
    """false: every knob and every value is equally likely."""
    polish: Flag = True
    """End with the best changes of one or two knobs, until none improves the best states."""


class SinglePathConfig(Section):
    """Single-Path NAS in the comparison of strategies: weights and decisions of a superkernel, trained together."""

    epochs: Index = 0
    """Passes over the train split of each training, of which there is one for every seed and budget; 0: it does not
    take part. A handful, from the supernet's weights."""
    batch_size: Count = 128
    """Images per step."""
    learning_rate: Above0 = 0.001
    """Peak learning rate of AdamW, which trains the weights, followed by a half cosine to zero."""


class ComparisonConfig(Section):
    """All strategies side by side, for `snakemake compare_strategies`: best so far against predictor calls."""

    seeds: Count = 5
    """Runs of each strategy under each budget."""
    calls: Count = 10000
    """Predictor calls of each run, about."""
    single_path: SinglePathConfig = SinglePathConfig()


class ObjectiveConfig(Section):
    """What is best among the subnets that keep budget and caps: of predictions in the search, of measurements after."""

    kind: Literal["accuracy-under-latency", "latency-under-accuracy", "knee", "weighted", "python"] = (
        "accuracy-under-latency"
    )
    """accuracy-under-latency: the paper's. latency-under-accuracy: the fastest of at least `accuracy_floor`. knee:
    where the frontier bends. weighted: accuracy less `points_per_budget` x latency / budget. python: your own
    `function`. The budget is kept by all of them."""
    accuracy_floor: Annotated[float, Field(ge=0, le=100)] | None = None
    """Least int8 top-1 of latency-under-accuracy, in percent; null otherwise."""
    points_per_budget: Annotated[float, Field(gt=0)] | None = None
    """Points of accuracy that a latency which fills the budget must earn, for weighted; null otherwise."""
    function: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")] | None = None
    """module:function of the kind python; the module is a file in the working directory or in its `config` folder
    (docs/how-to/goals-and-caps.md has an example); null otherwise."""

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveConfig:
        needed = {"latency-under-accuracy": "accuracy_floor", "weighted": "points_per_budget", "python": "function"}
        for kind, name in needed.items():
            value = getattr(self, name)
            if (self.kind == kind) != (value is not None):
                said = f"{name} is {'null' if value is None else value}, but kind {self.kind}"
                raise FoxnasError(f"{said} needs one" if value is None else f"{said} has no use for it; write null")
        return self


class SearchConfig(Section):
    """Finding candidates with the predictors."""

    strategy: Literal["annealing", "exact", "evolution", "regularised", "differentiable", "autoshrink", "random"] = (
        "annealing"
    )
    """How; docs/how-to/search.md compares them. exact: the proven optimum, and the best of tighter budgets."""
    seed: Seed = 0
    """Seed of the strategy."""
    alike_layers: bool = False
    """true: only units whose layers all have the same K and E are searched. (The authors' released script makes the
    layers after the first alike, and leaves the first its own.)"""
    objective: ObjectiveConfig = ObjectiveConfig()
    caps: Caps = Caps()
    reserves_percent: list[Percent] = Field(default=[3.0, 6.0, 10.0], min_length=1)
    """Search this far below the budget (and above an accuracy floor): predictors err, and a promise has to be kept."""
    candidates: Count = 4
    """Candidates per reserve."""
    incumbents: Annotated[int, Field(ge=0)] = 2
    """Best subnets among those measured anyway that are verified beside the candidates."""
    annealing: Annealing = Annealing()


class AcquisitionConfig(Section):
    """Rounds of measuring accuracies where searches go, before they go there: of all budgets of a device at once."""

    rounds: Annotated[int, Field(ge=0, le=9)] = 0
    """At most so many; each chooses, measures and fits again (docs/explanation/search.md). 0: none."""
    subnets: Annotated[int, Field(ge=5)] = 30
    """Subnets per round, of all image sizes together: the optima of all budgets first, then those by which most
    improvement is expected."""
    agreed_points: Annotated[float, Field(ge=0)] = 0.5
    """No further round when at every budget and reserve the proven optimum's prediction is within so many points of
    the best measured accuracy. (5,000 images tell 80% from others to within 0.57, one standard error.)"""


class RefinementConfig(Section):
    """What is measured where searches go, before and after."""

    acquisition: AcquisitionConfig = AcquisitionConfig()

    rounds: Annotated[int, Field(ge=1, le=9)] = 1
    """Rounds of search at most; each further one adds what was measured to the fit first. 1: the fit stays as it is."""
    settled_points: Annotated[float, Field(ge=0)] = 0.05
    """A further round is left out when adding those measurements moved the frontier by less, in points of accuracy."""
    twists: Annotated[int, Field(ge=0)] = 2
    """Single-knob moves away from the best measured candidate that are measured, too (section 3.3 of the paper)."""

    @model_validator(mode="after")
    def _consistent(self) -> RefinementConfig:
        if self.rounds > 1 and self.acquisition.rounds:
            raise FoxnasError(
                f"rounds is {self.rounds}, but acquisition.rounds is {self.acquisition.rounds}, which fits again "
                "before the search; write rounds: 1, or acquisition.rounds: 0"
            )
        return self
