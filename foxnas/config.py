"""The one validated configuration object.

Unknown keys, wrong types and impossible combinations are refused at once, by key, with the value, the
nearest valid one and the fix. The object that was validated is the object that the workflow uses.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from foxnas.budget import Budget
from foxnas.errors import FoxnasError
from foxnas.space import SearchSpace, UnitSpec

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Weights = list[Annotated[float, Field(ge=0, le=1)]] | None


class Section(BaseModel):
    """A part of the configuration: frozen, without unknown keys, without silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class UnitConfig(Section):
    """One unit of the space."""

    width: Count
    """Output channels of every layer of the unit."""
    stride: Literal[1, 2]
    """Stride of the unit's first layer."""
    type: Literal[1, 2]
    """1: separable inverted bottleneck with squeeze-and-excitation; 2: the same without."""


class SpaceConfig(Section):
    """The search space: what a subnet may look like."""

    name: Name
    """Names the folder under results/."""
    image_sizes: list[Count]
    """Input sizes, in pixels, ascending."""
    kernel_sizes: list[Count]
    """Choices of K for every layer."""
    expansion_ratios: list[Count]
    """Choices of E for every layer."""
    depths: list[Count]
    """Choices of D, the number of layers of a unit, for every unit."""
    stem_width: Count
    """Output channels of the stem convolution and of the separable block after it."""
    stem_stride: Literal[1, 2]
    """Stride of the stem convolution."""
    units: list[UnitConfig]
    """The searchable units, from input to output."""
    head_width: Count
    """Output channels of the 1x1 convolution before global average pooling."""
    image_channels: Count
    """1 for grey, 3 for colour."""
    classes: Annotated[int, Field(ge=2)]
    """Number of classes."""
    kernel_transforms: bool
    """false: a smaller kernel is the centre of the larger; true: and a learned linear map of it (Once-for-All)."""

    def build(self) -> SearchSpace:
        """Return the library's value. Raises FoxnasError when the choices contradict one another."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.model_dump().items()}
        fields["units"] = tuple(UnitSpec(**unit) for unit in fields["units"])
        return SearchSpace(**fields)


class SplitsConfig(Section):
    """How many images each split takes; all are disjoint."""

    train: Count
    """Trains the supernet; its first images also recalibrate batch norms and calibrate int8."""
    fit: Count
    """Measures the accuracies that the predictors are fitted to."""
    verify: Count
    """Compares the candidates of a search."""
    test: Count
    """Opened for the final report, never for a choice; taken from the published test set."""


class SceneConfig(Section):
    """Every image is put on a larger black canvas at a random place, scale and angle: a harder task."""

    canvas: Annotated[int, Field(ge=28)]
    """Side of the canvas, in pixels."""
    smallest_scale: Annotated[float, Field(gt=0, le=1)]
    """The image's side is this share of the canvas' at least, and all of it at most."""
    largest_angle: Annotated[float, Field(ge=0, le=180)]
    """Turned by at most so many degrees either way."""


class DataConfig(Section):
    """The images."""

    dataset: Literal["fashion-mnist"]
    """Which data set."""
    folder: str | None
    """A folder that already holds the data set's files; null fetches them."""
    scene: SceneConfig | None
    """null: the images as published."""
    seed: int
    """Deals the published training images out to train, fit and verify."""
    splits: SplitsConfig
    """How many images go where."""


class PhaseConfig(Section):
    """One phase of progressive shrinking: the subnets it trains."""

    epochs: Count
    """Passes over the train split."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of AdamW, followed by a half cosine."""
    kernel_sizes: list[Count]
    """Choices of K in this phase."""
    expansion_ratios: list[Count]
    """Choices of E in this phase."""
    depths: list[Count]
    """Choices of D in this phase."""
    kernel_weights: Weights
    """Probabilities of those kernel sizes; null: all equal."""
    expansion_weights: Weights
    """Probabilities of those expansion ratios; null: all equal."""
    depth_weights: Weights
    """Probabilities of those depths; null: all equal."""

    @model_validator(mode="after")
    def _weights_fit(self) -> PhaseConfig:
        for choices, weights in (
            ("kernel_sizes", self.kernel_weights),
            ("expansion_ratios", self.expansion_weights),
            ("depths", self.depth_weights),
        ):
            if weights is not None and (len(weights) != len(getattr(self, choices)) or abs(sum(weights) - 1) > 1e-6):
                raise FoxnasError(
                    f"the weights {weights} of {choices} {getattr(self, choices)} must be as many, and sum to 1"
                )
        return self


class TrainingConfig(Section):
    """How the supernet is trained when supernet.source is train."""

    seed: int
    """Initial weights, order of the images, subnets of the steps."""
    batch_size: Count
    """Images per step."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Of AdamW, on convolutions and the classifier."""
    distillation: Annotated[float, Field(ge=0, le=1)]
    """Weight of the largest subnet's soft labels against the true ones, after the first phase."""
    average_decay: Annotated[float, Field(ge=0, lt=1)]
    """Decay per step of the moving average of the weights."""
    phases: Annotated[list[PhaseConfig], Field(min_length=1)]
    """In order; the largest subnet after the first becomes the teacher of the others."""


class SupernetConfig(Section):
    """Where the supernet comes from."""

    source: Literal["checkpoint", "train"]
    """checkpoint: take supernet.checkpoint; train: train one by supernet.training (minutes to hours)."""
    checkpoint: str
    """A safetensors file of this space."""
    training: TrainingConfig


class SamplingConfig(Section):
    """Which subnets are measured."""

    seed: int
    """Of the sample."""
    subnets: Annotated[int, Field(ge=60)]
    """Subnets per image size (the paper: 300). Raising it measures only the new ones."""


class AccuracyConfig(Section):
    """How subnets are evaluated."""

    recalibration_images: Count
    """Images of the train split that estimate every subnet's batch-norm statistics."""
    batch_size: Count
    """Images evaluated at once."""


class ProtocolConfig(Section):
    """How a model is timed; `foxnas.devices.protocol.MeasurementProtocol` says more of each."""

    warm_up_runs: Count
    """Untimed inferences first, at least so many..."""
    warm_up_ms: Annotated[float, Field(ge=0)]
    """...and for at least so long."""
    min_runs: Count
    """Timed inferences of one timing, at least so many..."""
    min_time_ms: Annotated[float, Field(ge=0)]
    """...and for at least so long."""
    max_time_ms: Annotated[float, Field(gt=0)]
    """Then the timing is stopped in any case."""
    repeats: Count
    """Timings a probe's latency is the mean of, each in a pass of its own over all probes."""
    threads: Count
    """Threads of the interpreter."""
    cpu: Annotated[int, Field(ge=0)] | None
    """Pin to this core; null takes the last one."""
    xnnpack: bool
    """true: run on the XNNPACK delegate; false: on the runtime's own kernels (see README, section 7x7)."""
    reference_every: Count
    """Time the reference probe after so many probes, to see drift."""
    max_relative_mad: Annotated[float, Field(gt=0)]
    """Spread (MAD / median) past which a probe is timed again."""
    max_preempted: Annotated[float, Field(gt=0, le=1)]
    """Share of runs in which another process took the core, past which a probe is timed again."""
    max_drift: Annotated[float, Field(gt=0)]
    """Deviation of the nearest reference timings from their usual, past which a probe is timed again."""
    max_disagreement: Annotated[float, Field(gt=0)]
    """Range of a probe's timings, relative to their mean, past which it is timed again."""
    max_attempts: Count
    """Then the probe is flagged and left out of the fit."""
    seed: Annotated[int, Field(ge=0)]
    """Of the random input."""


class DeviceConfig(Section):
    """A device that models are timed on."""

    name: Name
    """Names its files."""
    transport: Literal["local"]
    """local: this machine. While it measures, nothing else of the workflow runs."""
    protocol: ProtocolConfig


Form = Literal["paper", "quadratic-k", "quadratic"]


class PredictorsConfig(Section):
    """The regressions. All targets and forms are fitted and reported; these are the ones the search uses."""

    accuracy_target: Literal["top1", "probability"]
    """What the search maximises: top-1, or the (less noisy) mean probability of the correct class."""
    accuracy_form: Form
    """paper: equation 2's terms; quadratic-k: and a curved effect of K; quadratic: of K and E."""
    latency_form: Form
    """Likewise for latency."""
    folds: Annotated[int, Field(ge=2)]
    """Folds of the cross-validation."""
    seed: int
    """Deals the subnets out to the folds."""


class AnnealingConfig(Section):
    """Simulated annealing, Algorithm 1 of the paper; `foxnas.search.annealing` says more of each."""

    seed: int
    """Of the walk."""
    initial_temperature: Count
    """T: the temperature, and the largest number of knobs changed in a step."""
    proposals_per_temperature: Count
    """n: the temperature falls by one after so many proposals."""
    boltzmann: Annotated[float, Field(gt=0)]
    """k, in points of accuracy: a loss of k x T is accepted with probability 1/e."""
    switch_after: Annotated[int, Field(ge=0)] | None
    """Proposals after which the guidance switches to its second set of weights; null: 2n."""
    rounds: Count
    """How often the schedule runs."""
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


class VerificationConfig(Section):
    """Measuring the candidates for real."""

    sessions: Annotated[int, Field(ge=3)]
    """Separate device sessions per candidate."""
    margin_percent: Percent
    """A candidate wins only if its upper 95% latency bound lies this far below the budget."""


class ExportConfig(Section):
    """int8 export."""

    calibration_images: Count
    """Images of the train split that set the int8 ranges."""


class ValidationConfig(Section):
    """The last word on a deployed model."""

    sessions: Annotated[int, Field(ge=3)]
    """New device sessions for the deployed file."""
    max_drop_percent: Annotated[float, Field(gt=0)]
    """int8 may lose at most this many points of top-1 against float."""


class BaselinesConfig(Section):
    """The honest rivals of the search."""

    seed: int
    """Of the random searches."""
    random_searches: Annotated[int, Field(ge=1)]
    """Random searches, each with as many measurements as the whole method used."""
    extra_subnets: Annotated[int, Field(ge=0)]
    """Further random subnets per image size, measured only for the random searches; 0 resamples the measured ones."""


class Config(Section):
    """The whole configuration."""

    space: SpaceConfig
    data: DataConfig
    supernet: SupernetConfig
    sampling: SamplingConfig
    accuracy: AccuracyConfig
    devices: Annotated[list[DeviceConfig], Field(min_length=1)]
    predictors: PredictorsConfig
    budgets: Annotated[list[str | float | int], Field(min_length=1)]
    """Latency budgets: milliseconds, or percentiles of the device's measured latencies such as p25."""
    search: SearchConfig
    verification: VerificationConfig
    export: ExportConfig
    validation: ValidationConfig
    baselines: BaselinesConfig

    @field_validator("budgets")
    @classmethod
    def _budgets(cls, budgets: list[str | float | int]) -> list[str | float | int]:
        names = [Budget.parse(b).name for b in budgets]
        if repeated := {n for n in names if names.count(n) > 1}:
            raise FoxnasError(f"{sorted(repeated)[0]} is listed twice; remove one")
        return budgets

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        self.space.build()
        names = [device.name for device in self.devices]
        if repeated := {n for n in names if names.count(n) > 1}:
            raise FoxnasError(f"devices: two are named {sorted(repeated)[0]!r}; give each a name of its own")
        for key, images in (
            ("accuracy.recalibration_images", self.accuracy.recalibration_images),
            ("export.calibration_images", self.export.calibration_images),
        ):
            if images > self.data.splits.train:
                raise FoxnasError(
                    f"{key} is {images}, but the train split has {self.data.splits.train}; lower the first"
                )
        if self.supernet.source == "train":
            knobs = ("kernel_sizes", "expansion_ratios", "depths")
            for i, phase in enumerate(self.supernet.training.phases):
                for knob in knobs:
                    if extra := set(getattr(phase, knob)) - set(getattr(self.space, knob)):
                        raise FoxnasError(
                            f"supernet.training.phases.{i}.{knob} has {sorted(extra)[0]}, which space.{knob} "
                            f"{getattr(self.space, knob)} has not"
                        )
        return self

    def device(self, name: str) -> DeviceConfig:
        """Return the device of a name."""
        return next(device for device in self.devices if device.name == name)


def load_config(raw: Mapping[str, Any], source: str) -> Config:
    """Validate a configuration. Raises FoxnasError that lists every problem by key, with the fix."""
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        problems = "\n".join(f"  {_explain(problem)}" for problem in error.errors())
        raise FoxnasError(f"{source} is not valid:\n{problems}") from None


def read_config(path: Path) -> Config:
    """Read and validate a YAML file. Raises FoxnasError."""
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise FoxnasError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise FoxnasError(f"{path}: is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise FoxnasError(f"{path}: expected keys and values, found {type(raw).__name__}")
    return load_config(raw, str(path))


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sections by content, keys sorted, no spaces.

    A param of a rule is this text, because Snakemake compares params as a set of values without
    names: two swapped numbers, or any object, would go unnoticed.
    """

    def plain(item: Any) -> Any:
        if isinstance(item, BaseModel):
            return item.model_dump(mode="json")
        raise TypeError(f"{type(item).__name__} has no canonical form")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)


def _explain(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"] if not re.fullmatch(r"(str|float|int|function.*)", str(part))]
    key = ".".join(path) or "config"
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            known = sorted(_fields_at(problem["loc"][:-1]))
            near = difflib.get_close_matches(path[-1], known, 1, 0.5)
            return f"{key}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
        case "missing":
            return f"{key}: is missing; config/config.yaml has a documented default to copy"
        case "literal_error":
            allowed = problem["ctx"]["expected"]
            choices = re.findall(r"'([^']*)'", allowed)
            near = difflib.get_close_matches(str(value), choices, 1, 0.4)
            return f"{key}: {value!r} is not {allowed}" + (f"; did you mean {near[0]}?" if near else "")
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            limit = next(iter(problem["ctx"].values()))
            said = problem["msg"].removeprefix("Input ")
            return f"{key}: {value!r} is out of range: {said}; the nearest limit is {limit:g}"
        case "value_error":
            text = str(problem["ctx"]["error"])
            return f"{key}: {text}" if path else text
        case _:
            return f"{key}: {value!r} does not fit: {problem['msg'].removeprefix('Input ')}"


def _fields_at(location: tuple[int | str, ...]) -> set[str]:
    model: Any = Config
    for part in location:
        if isinstance(part, int) or part not in getattr(model, "model_fields", {}):
            continue
        model = _section_in(model.model_fields[part].annotation)
    return set(model.model_fields)


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((s for a in getattr(annotation, "__args__", ()) if (s := _section_in(a)) is not None), None)


if __name__ == "__main__":
    print(json.dumps(Config.model_json_schema(), indent=1))
