"""Everything the page shows, read from the files of a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas.accuracy.outcomes import TARGETS
from foxnas.device import npu
from foxnas.edgetpu.columns import FIGURES
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_provenance, read_table
from foxnas.int8.scored import Measure
from foxnas.predictor.by_size import predict_each
from foxnas.predictor.linking import NamedFit, fit_key
from foxnas.predictor.mix import NOT_TIMED
from foxnas.predictor.model import Predictor
from foxnas.report.acquired import AcquiredRound, read_round
from foxnas.report.files import PageFiles
from foxnas.space.arch import Arch
from foxnas.space.pooling import both_measured, pool
from foxnas.space.space import SearchSpace
from foxnas.verdict.finishing import deployed_attempt
from foxnas.verdict.promises import complete

MadeBy = Mapping[str, Any]

#: What a compiler's estimate is called wherever a latency is shown.
ESTIMATED = "estimated latency"

_CANDIDATE = ["id", "arch", "source", "accuracy", "latency_ms"]
_INTERVALS = [
    "accuracy_lower", "accuracy_upper", "accuracy_leverage", "latency_lower_ms", "latency_upper_ms", "latency_leverage",
]  # fmt: skip
_TRACE = ["calls", "current", "best", "temperature", "phase", "reserve_percent"]
_MOVES = ("base", "slack_ms", "tried", "moves")
_DECISION = ("made_by", "winner", "predicted", "candidates", "chosen_by")
_VALIDATION = (
    "arch", "source", "predicted", "verified", "test_images", "float_top1_percent", "int8_top1_percent",
    "latency_median_ms", "latency_upper_ms", "session_medians_ms", "latency_kept", "accuracy_kept", "slack_percent",
    "drop_percent", "made_by",
)  # fmt: skip
_RIVALS = ("models", "budgets", "against", "test_images", "made_by")
_BASELINES = ("budgets", "average", "test_images", "measurements", "pool", "random_searches", "made_by")


@dataclass(frozen=True)
class Fits:
    """All regressions of one image size, named by `fit_key`; `chosen` is the one that the search used."""

    chosen: str
    predictors: Mapping[str, Predictor]
    ceilings: Mapping[str, float]
    flagged: int
    made_by: MadeBy
    like: Mapping[str, Any] | None = None
    """For a latency that starts from those of other devices, what `fit_like` says of the mix."""
    blocks: Mapping[str, Any] | None = None
    """For one that is a sum of timed blocks, what `fit_blocks` says of it."""

    @property
    def predictor(self) -> Predictor:
        """The one that the search used."""
        return self.predictors[self.chosen]

    @property
    def target(self) -> str:
        """What it predicts."""
        return NamedFit.of(self.chosen).target

    @property
    def form(self) -> str:
        """Its form: "paper" or an extension of it."""
        return NamedFit.of(self.chosen).form

    @property
    def together(self) -> bool:
        """Whether it was fitted together with those of the other image sizes."""
        return NamedFit.of(self.chosen).together

    def of_target(self, target: str) -> Predictor:
        """Return the one of another target, in the form and under the link that the search used, fitted likewise."""
        return self.predictors[fit_key(target, self.form, self.predictor.link.name, self.together)]


@dataclass(frozen=True, eq=False)
class SearchRun:
    """One search: what the predictors say."""

    name: str
    budget_ms: float
    candidates: pd.DataFrame
    """What the predictors say of each candidate."""
    trace: pd.DataFrame
    """Traces of all rounds, named by `round`."""
    frontier: pd.DataFrame
    """Frontier of the last round."""
    certificates: Sequence[Mapping[str, Any]]
    made_by: Mapping[str, MadeBy]


@dataclass(frozen=True, eq=False)
class BudgetRun(SearchRun):
    """One search and what came of it."""

    verified: pd.DataFrame
    """What was measured of each candidate: verify split, exported file on the device."""
    twist: Mapping[str, Any] | None
    """The single-knob moves away from the best candidate of the rounds; None when none was to be tried."""
    winner: Mapping[str, Any]
    validation: Mapping[str, Any]
    model: Path
    chosen_by: Measure
    """What the int8 files were compared by on the verify split."""
    finishing: Mapping[str, Any] | None = None
    """What came of training the best candidate on its own; None when that was not asked for, or none was verified."""
    sustained: Mapping[str, Any] | None = None
    """Figures of the deployed model at work without a pause; None when that was not asked for."""

    @property
    def weights(self) -> str:
        """Which of its weights the deployed model has, where one was finished."""
        return str(deployed_attempt(self.winner, self.finishing or {})["weights"])

    @property
    def arch(self) -> Arch:
        """The deployed architecture."""
        return Arch.parse(self.validation["arch"])

    @property
    def kept(self) -> bool:
        """Whether both promises are kept."""
        return bool(self.validation["latency_kept"] and self.validation["accuracy_kept"])

    @property
    def passed_over(self) -> bool:
        """Whether new sessions did not confirm the best verified candidate."""
        return bool(self.validation["tried"][0]["verdict"] != "kept")


@dataclass(frozen=True, eq=False)
class SearchedDevice:
    """What was searched for on one device."""

    name: str
    subnets: pd.DataFrame
    """Every measured subnet: accuracies (fit split, float), latency, `usable`."""
    latency: Mapping[int, Fits]
    further: Mapping[str, Mapping[int, Fits]]
    """Fits of further targets, by name."""
    budgets: Sequence[SearchRun]
    made_by: Mapping[int, Sequence[MadeBy]]
    """By image size, what made each shard of the latencies."""

    @property
    def latency_name(self) -> str:
        """How its latencies are called."""
        return "latency"


@dataclass(frozen=True, eq=False)
class DeviceRun(SearchedDevice):
    """Everything that depends on one device; `subnets` has the quality of the timings, too."""

    budgets: tuple[BudgetRun, ...]
    baselines: Mapping[str, Any]
    acquired: Sequence[AcquiredRound] = ()
    """Rounds of acquisition, in order."""
    rivals: Mapping[str, Any] | None = None
    """Off-the-shelf networks beside the deployed models; None where none were asked for."""
    compiled: pd.DataFrame | None = None
    """For an Edge TPU, what the compiler said of every measured subnet, `foxnas.edgetpu.columns.FIGURES`."""
    vela: pd.DataFrame | None = None
    """For an Ethos-U, what Vela said of every subnet, `foxnas.device.npu.FIGURES`; latencies are its estimates."""

    @property
    def latency_name(self) -> str:
        """How its latencies are called: by what they are."""
        return "latency" if self.vela is None else ESTIMATED


@dataclass(frozen=True, eq=False)
class FittedSpace:
    """What all devices have in common."""

    space: SearchSpace
    sizes: tuple[int, ...]
    accuracy: Mapping[int, Fits]
    devices: Sequence[SearchedDevice]

    @property
    def searched_for(self) -> str:
        """The accuracy that the search maximised: "top1" or "probability"."""
        return self.accuracy[self.sizes[0]].target

    def top1_predicted(self, archs: Sequence[Arch]) -> np.ndarray:
        """Return top-1 (percent, float, fit split) by the top-1 regressions like those that the search used.

        Columns are the prediction and the ends of its 95% prediction interval.
        """
        return predict_each({size: fits.of_target("top1") for size, fits in self.accuracy.items()}, archs)


@dataclass(frozen=True, eq=False)
class Run(FittedSpace):
    """A finished run."""

    devices: tuple[DeviceRun, ...]
    fit_images: int


def read_run(files: PageFiles) -> Run:
    """Read a finished run. Raises FoxnasError naming the first file that is missing, damaged or of another version."""
    found = tuple(_device(files, device) for device in files.devices)
    first = files.searched(files.devices[0], files.budgets[0])[files.rounds[0]]
    return Run(
        space=space_of(first["candidates"]),
        sizes=tuple(files.sizes),
        fit_images=int(found[0].subnets["images"].max()),
        accuracy=fits_of(files, "accuracy"),
        devices=found,
    )


def _device(files: PageFiles, device: str) -> DeviceRun:
    tables = files.latency(device)
    first, latency = read_table(tables[files.sizes[0]]), fits_of(files, f"latency-{device}")
    estimated = npu.FIGURES[0] in first
    columns = [
        "latency_ms", "mad_ms", "attempts", "disagreement_percent", "drift_percent", "usable", "reason",
        "batch", "dtype", "signedness", "io_dtype", "executor", "fallback_operators", "clock_mhz", "temperature_c",
    ]  # fmt: skip
    accuracies = list(files.accuracy().values())
    sampled = both_measured(accuracies, list(tables.values()), [*TARGETS.values(), "images"], columns)
    return DeviceRun(
        name=device,
        subnets=sampled[~sampled["reason"].isin(NOT_TIMED)].reset_index(drop=True),
        latency={size: _named(fits, ESTIMATED) for size, fits in latency.items()} if estimated else latency,
        further={name: fits_of(files, f"{name}-{device}") for name in files.further_targets},
        budgets=tuple(_budget(files, device, budget) for budget in files.budgets),
        baselines=read_json(files.baselines(device), _BASELINES),
        made_by={size: shards_of(read_provenance(table)) for size, table in tables.items()},
        acquired=tuple(read_round(name, one) for name, one in files.acquisition(device).items()),
        rivals=read_json(files.rivals(device), _RIVALS) if device in files.with_rivals else None,
        compiled=pool(list(tables.values()), FIGURES) if FIGURES[0] in first else None,
        vela=pool(list(tables.values()), npu.FIGURES) if estimated else None,
    )


def read_search(files: PageFiles, device: str, budget: str, candidates: Path) -> SearchRun:
    """Read one search, with a table of its candidates. Raises FoxnasError like `read_run`."""
    rounds = files.searched(device, budget)
    limit = read_json(files.search(device, budget)["budget"], ("name", "budget_ms", "made_by"))
    searched = {name: read_json(one["certificate"], ("certificates", "made_by")) for name, one in rounds.items()}
    traces = [read_table(one["trace"], _TRACE).assign(round=name) for name, one in rounds.items()]
    last = files.rounds[-1]
    return SearchRun(
        name=limit["name"],
        budget_ms=float(limit["budget_ms"]),
        candidates=read_table(candidates, [*_CANDIDATE, *_INTERVALS]),
        trace=pd.concat(traces, ignore_index=True),
        frontier=read_table(rounds[last]["frontier"], [*_CANDIDATE, *_INTERVALS]),
        certificates=[{"round": name, **one} for name, found in searched.items() for one in found["certificates"]],
        made_by={"budget": limit["made_by"], "search": searched[last]["made_by"]},
    )


def _budget(files: PageFiles, device: str, budget: str) -> BudgetRun:
    search = files.search(device, budget)
    run = read_search(files, device, budget, search["candidates"])
    decision = read_json(search["winner"], _DECISION)
    validation = complete(read_json(search["validation"], _VALIDATION))
    made_by = {**run.made_by, "winner": decision["made_by"], "validation": validation["made_by"]}
    sustained = read_json(search["sustained"], ("made_by", "summary")) if "sustained" in search else None
    if sustained:
        made_by["sustained"] = sustained["made_by"]
    return BudgetRun(
        **{**vars(run), "made_by": made_by},
        verified=pd.DataFrame(decision["candidates"]),
        twist=read_json(search["moves"], _MOVES) if "moves" in search else None,
        winner=decision["winner"],
        validation=validation,
        model=files.model(device, budget),
        chosen_by=decision["chosen_by"],
        finishing=decision.get("finishing"),
        sustained=sustained and sustained["summary"],
    )


def _named(fits: Fits, target: str) -> Fits:
    """Return the same fits, called otherwise on axes."""
    return replace(fits, predictors={form: replace(one, target=target) for form, one in fits.predictors.items()})


def fits_of(files: PageFiles, name: str) -> dict[int, Fits]:
    """Read the regressions of every image size. Raises FoxnasError like `read_run`."""
    return {size: _fits(path) for size, path in files.fits(name).items()}


def _fits(path: Path) -> Fits:
    value = read_json(path, ("chosen", "fits", "made_by"))
    try:
        predictors = {name: Predictor.from_json(one) for name, one in value["fits"].items()}
    except FoxnasError as error:
        raise FoxnasError(f"{path}: {error}") from error
    if value["chosen"] not in predictors:
        raise FoxnasError(f"{path}: the chosen fit {value['chosen']!r} is not in it; delete it and run again")
    flagged = int(value.get("flagged", 0))
    ceilings, like, blocks = value.get("ceilings", {}), value.get("like"), value.get("blocks")
    return Fits(value["chosen"], predictors, ceilings, flagged, value["made_by"], like, blocks)


def space_of(candidates: Path) -> SearchSpace:
    """Return the space that a table of candidates was searched in. Raises FoxnasError like `read_run`."""
    made_by = read_provenance(candidates)
    try:
        return SearchSpace.from_record(made_by["settings"]["space"])
    except (KeyError, FoxnasError) as error:
        raise FoxnasError(f"{candidates}: does not say of which space it is; delete it and run again") from error


def shards_of(made_by: MadeBy) -> Sequence[MadeBy]:
    """Return what made each shard of a table."""
    return made_by.get("shards") or [made_by]
