"""The one validated configuration object.

Unknown keys, wrong types and impossible combinations are refused at once, by key, with the value, the
nearest valid one and the fix. The object that was validated is the object that the workflow uses.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from foxnas.accuracy.config import DevicedEvaluationConfig
from foxnas.config.devices import check_devices
from foxnas.config.folds import check_folds
from foxnas.config.likes import check_likes
from foxnas.config.names import check_names
from foxnas.config.plans import Plan, check_plans, plan_of
from foxnas.config.racks import check_racks
from foxnas.config.reading import read_layer, refuse
from foxnas.config.tables import check_left_out, check_table_sections
from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.device.npu import FIGURES
from foxnas.errors import FoxnasError
from foxnas.images.config import DescribedDataConfig
from foxnas.int8.config import ExportConfig
from foxnas.predictor.config import PredictorsConfig
from foxnas.rivals.config import OffTheShelfConfig
from foxnas.search.budget import Budget
from foxnas.search.config import ComparisonConfig, RefinementConfig, SearchConfig
from foxnas.settings.section import Section, fields_of, sections_in
from foxnas.space.config import DeclaredSpace
from foxnas.space.sampling_config import SamplingConfig
from foxnas.supernet.config import SupernetConfig
from foxnas.supernet.finishing_config import FinishingConfig
from foxnas.verdict.config import BaselinesConfig, ValidationConfig, VerificationConfig


def _needs_images(schema: dict[str, Any]) -> None:
    """Have a JSON schema ask for data and supernet only where accuracies are not of a table."""
    source = {"required": ["source"], "properties": {"source": {"const": "table"}}}
    schema["required"] = [key for key in schema["required"] if key not in ("data", "supernet")]
    schema["if"] = {"required": ["accuracy"], "properties": {"accuracy": source}}
    schema["else"] = {"required": ["data", "supernet"]}


#: Letters of a value that a message repeats at most.
_LONGEST = 300


class Config(Section):
    """The whole configuration."""

    model_config = ConfigDict(json_schema_extra=_needs_images)

    space: DeclaredSpace
    """A shipped space's name, the path of a file like those in foxnas/space/shipped/, or the keys below; where `base`
    is such a name or path, the keys that are left out are that space's."""
    data: DescribedDataConfig | None
    """The images; may be left out, or null, where accuracy.source is table."""
    supernet: SupernetConfig | None
    """Where the supernet comes from; likewise."""
    sampling: SamplingConfig = SamplingConfig()
    accuracy: DevicedEvaluationConfig = DevicedEvaluationConfig()
    devices: Annotated[list[DeviceConfig], Field(min_length=1)]
    predictors: PredictorsConfig = PredictorsConfig()
    budgets: Annotated[list[str | float | int], Field(min_length=1)]
    """Latency budgets: milliseconds, or percentiles of the device's measured latencies such as p25."""
    search: SearchConfig = SearchConfig()
    comparison: ComparisonConfig = ComparisonConfig()
    refinement: RefinementConfig = RefinementConfig()
    verification: VerificationConfig = VerificationConfig()
    export: ExportConfig = ExportConfig()
    finishing: FinishingConfig = FinishingConfig()
    validation: ValidationConfig = ValidationConfig()
    baselines: BaselinesConfig = BaselinesConfig()
    rivals: OffTheShelfConfig = OffTheShelfConfig()

    @field_validator("budgets")
    @classmethod
    def _budgets(cls, budgets: list[str | float | int]) -> list[str | float | int]:
        names = [Budget.parse(b).name for b in budgets]
        if repeated := {n for n in names if names.count(n) > 1}:
            raise FoxnasError(f"{sorted(repeated)[0]} is listed twice; remove one")
        return budgets

    @model_validator(mode="before")
    @classmethod
    def _of_its_source(cls, given: Any) -> Any:
        accuracy = given.get("accuracy") if isinstance(given, dict) else None
        of_a_table = isinstance(accuracy, Mapping) and accuracy.get("source") == "table"
        return {"data": None, "supernet": None, **given} if of_a_table else given

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        names = [device.name for device in self.devices]
        if repeated := {n for n in names if names.count(n) > 1}:
            raise FoxnasError(f"devices: two are named {sorted(repeated)[0]!r}; give each a name of its own")
        check_names(self.space.name, names, [target.name for target in self.predictors.further_targets])
        check_racks(self.devices)
        check_devices(self.devices)
        for i, target in enumerate(self.predictors.further_targets):
            estimated = [device.name for device in self.devices if kind_of(device.kind).latency == "estimated"]
            if estimated and target.table is None and target.column not in ("latency_ms", *FIGURES):
                raise FoxnasError(
                    f"predictors.further_targets.{i}.column is {target.column}, which is measured on a device, and "
                    f"{estimated[0]} is an ethos-u device, of which nothing is; known are {', '.join(FIGURES)}"
                )
        if self.search.objective.accuracy_floor is not None and self.predictors.accuracy_target != "top1":
            raise FoxnasError(
                f"search.objective.accuracy_floor is of top-1, but predictors.accuracy_target is "
                f"{self.predictors.accuracy_target}; write top1"
            )
        check_table_sections(self.accuracy, self.devices)
        check_likes(self.devices, self.predictors.further_targets)
        check_plans(self.devices, self.predictors)
        if not self.verifies:
            check_left_out(self.predictors, self.finishing, self.rivals)
        elif self.data is None or self.supernet is None:
            key = "data" if self.data is None else "supernet"
            raise FoxnasError(f"{key} is null, but accuracy.source is {self.accuracy.source}; write a section")
        else:
            self._check_images(self.data, self.supernet)
        return self

    def _check_images(self, data: DescribedDataConfig, supernet: SupernetConfig) -> None:
        """Raise FoxnasError where splits, trainings and rivals contradict each other."""
        for key, images in (
            ("accuracy.recalibration_images", self.accuracy.recalibration_images),
            ("export.calibration_images", self.export.calibration_images),
        ):
            if images > data.splits.train:
                raise FoxnasError(f"{key} is {images}, but the train split has {data.splits.train}; lower the first")
        check_folds(data, supernet, self.refinement)
        finishing, images = self.finishing, data.splits.train
        if finishing.on and finishing.batch_size > images:
            raise FoxnasError(
                f"finishing.batch_size is {finishing.batch_size}, but the train split has {images} images; lower the "
                "first"
            )
        if finishing.quantisation_aware_epochs and self.export.with_ != "foxnas":
            raise FoxnasError(
                f"finishing.quantisation_aware_epochs is {finishing.quantisation_aware_epochs}, but export.with is "
                f"{self.export.with_}, whose scales are not known beforehand; write export: {{with: foxnas}}, or 0"
            )
        if supernet.trained:
            if supernet.training.batch_size > data.splits.train:
                raise FoxnasError(
                    f"supernet.training.batch_size is {supernet.training.batch_size}, but the train split has "
                    f"{data.splits.train} images; lower the first"
                )
            knobs = ("kernel_sizes", "expansion_ratios", "depths")
            for i, phase in enumerate(supernet.training.phases):
                for knob in knobs:
                    if extra := set(getattr(phase, knob)) - set(getattr(self.space, knob)):
                        raise FoxnasError(
                            f"supernet.training.phases.{i}.{knob} has {sorted(extra)[0]}, which space.{knob} "
                            f"{list(getattr(self.space, knob))} has not"
                        )
        self.rivals.check(self.space, supernet.training, data.splits.train)

    @property
    def verifies(self) -> bool:
        """Whether candidates are exported, measured and deployed: not where tables of the user's are all there is."""
        return self.accuracy.source != "table"

    def plan(self, name: str) -> Plan:
        """Return what is timed on the device of a name."""
        return plan_of(self.device(name), self.predictors)

    def device(self, name: str) -> DeviceConfig:
        """Return the device of a name."""
        return next(device for device in self.devices if device.name == name)


def load_config(raw: Mapping[str, Any], source: str, places: Mapping[str, str] | None = None) -> Config:
    """Validate a configuration, whose keys stand at `places`.

    Raises FoxnasError that lists every problem by key, with the fix.
    """
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        refuse([_explain(problem, places or {}) for problem in _of_one_value(error)], source)
        raise


def read_config(path: Path) -> Config:
    """Read and validate a YAML file. Raises FoxnasError."""
    layer = read_layer(path)
    refuse(layer.problems, str(path))
    return load_config(layer.value, str(path), layer.places)


def _of_one_value(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return one problem per value: of what may be a text or a number, pydantic says that it is neither, singly."""
    told: dict[tuple[str, ...], Any] = {}
    for problem in error.errors():
        path = tuple(_path(problem))
        before = told.get(path, {"type": "none_type"})
        if path in told and problem["type"].endswith("_type") and before["type"].endswith("_type"):
            kinds = f"{before['msg']} or {problem['msg'].removeprefix('Input should be ')}"
            told[path] = {**before, "type": "union_type", "msg": kinds}
        elif before["type"].endswith("_type"):
            told[path] = problem
    return list(told.values())


def _path(problem: Mapping[str, Any]) -> list[str]:
    return [str(part) for part in problem["loc"] if not re.fullmatch(r"(str|float|int|function.*)", str(part))]


def _explain(problem: Mapping[str, Any], places: Mapping[str, str]) -> str:
    path = _path(problem)
    text = _said(problem, path)
    # A check across keys names the first of them itself.
    named = re.match(r"[\w.]+", text.removeprefix(f"{'.'.join(path)}: "))
    parts = [*path, *named[0].split(".")] if named and problem["type"] == "value_error" else path
    for end in range(len(parts), 0, -1):
        if place := places.get(".".join(parts[:end])):
            return f"{text} ({place})"
    return text


def _said(problem: Mapping[str, Any], path: Sequence[str]) -> str:
    key = ".".join(path) or "config"
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = sorted(_fields_at(problem["loc"][:-1]))
            near = difflib.get_close_matches(path[-1], known, 1, 0.5)
            return f"{key}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
        case "missing":
            return f"{key}: is missing; " + (
                "config/config.yaml has one to copy" if len(path) == 1 else "config/README.md says what it takes"
            )
        case "literal_error":
            allowed = problem["ctx"]["expected"]
            choices = re.findall(r"'([^']*)'", allowed)
            near = difflib.get_close_matches(str(value), choices, 1, 0.4)
            return f"{key}: {_cut(repr(value))} is not {allowed}" + (f"; did you mean {near[0]}?" if near else "")
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            limit = next(iter(problem["ctx"].values()))
            said = problem["msg"].removeprefix("Input ")
            shown = limit if isinstance(limit, int) else f"{limit:g}"
            return f"{key}: {_cut(repr(value))} is out of range: {said}; the nearest limit is {shown}"
        case "value_error":
            text = str(problem["ctx"]["error"])
            names_it = not path or re.match(rf"{key} [\w.-]+: ", text)  # as in "space mini: ..."
            return text if names_it else f"{key}: {text}"
        case "string_pattern_mismatch":
            name, allowed = re.sub(r"[^a-z0-9.]+", "-", str(value).lower()).strip("-."), problem["ctx"]["pattern"]
            fix = f"; {name!r} would do" if re.fullmatch(allowed, name) else ""
            return f"{key}: {_cut(repr(value))} does not fit: should match pattern '{allowed}'{fix}"
        case "model_type" | "dataclass_type":
            said = "should be a section, with keys and values"
        case "list_type" | "tuple_type" if isinstance(value, str | float | int):
            said = f"should be a list; write [{_written(value)}]"
        case "bool_type":
            said = "should be true or false"
        case "string_type" if value is not None:
            said = "should be a text; in a file, write it in quotes"
        case "too_short":
            said = f"should have at least {problem['ctx']['min_length']} item"
        case _:
            said = problem["msg"].removeprefix("Input ").replace("tuple", "list")  # what a YAML list becomes
    return f"{key}: {_written(value)} does not fit: {said}"


def _written(value: Any) -> str:
    """Return a value as it stands in YAML; numbers, texts and lists are alike in Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return _cut(str(value) if isinstance(value, date) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _fields_at(location: tuple[int | str, ...]) -> set[str]:
    section: type = Config
    for part in location:
        if part in (fields := fields_of(section)):
            section = sections_in(fields[str(part)])[0]
    return set(fields_of(section))
