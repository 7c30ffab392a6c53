"""What changing a line of the config runs again: one row a leaf, and more where it depends on the rest of the config.

A new leaf needs a row here, or `tests/workflow/test_invalidation.py` fails. `python -m tests.support.invalidation_page`
writes the table of docs/explanation/invalidation.md anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from foxnas.config.whole import load_config
from foxnas.errors import FoxnasError
from tests.support.configs import written_out
from tests.support.dag import EVERYTHING
from tests.support.stages import (
    ACCURACIES_TAKEN,
    ACCURACY,
    ACCURACY_FIT,
    ACQUISITION,
    ACQUISITION_AGAIN,
    BASELINES,
    BLOCKS,
    BUDGET,
    CALIBRATING,
    CALIBRATION,
    CARD,
    COMPILATION,
    CONFIRMATION,
    EXPORT,
    EXTRA,
    FETCH,
    FINISHING,
    FOLDS,
    GROWTH,
    LATENCIES_TAKEN,
    LATENCY,
    LATENCY_FIT,
    LATER_ROUNDS,
    LIKENED,
    NEW_DEVICE,
    NEW_FOLD,
    NEW_SIZE,
    NEW_SIZE_TRAINED,
    NOTHING,
    PREDICTORS_PAGE,
    PROMISES,
    PROVISION,
    REPORT,
    RESIZED,
    RIVALS,
    RIVALS_EXPORTED,
    RIVALS_OF_ACCURACY,
    RIVALS_TIMED,
    RIVALS_TRAINED,
    RIVALS_VALIDATED,
    SAMPLE,
    SEARCH,
    SEARCH_AGAIN,
    SPACE,
    SPLIT,
    STRATEGIES,
    STRATEGIES_PAGE,
    SUPERNET,
    SUSTAINED,
    TARGET,
    TIMING,
    TWISTS,
    VERDICT,
    WINNER,
    Stage,
)


class Row(NamedTuple):
    """One line changed in a finished run."""

    path: str
    """The leaf, with the places of list elements."""
    value: Any
    """What it is changed to."""
    stage: Stage
    where: Mapping[str, str] = {}
    """Wildcards to which the rerun is restricted."""
    base: str = "tiny"
    """The finished run; see `BASES`."""
    also: Mapping[str, Any] = {}
    """Other lines that must change with it to be valid."""
    note: str = ""
    """For the page: when it is so."""

    @property
    def leaf(self) -> str:
        """The leaf as the schema has it."""
        return re.sub(r"\.\d+(?=\.|$)", "[]", self.path)

    @property
    def named(self) -> str:
        """A word for it."""
        return f"{self.base}-{self.path}-{self.note}".replace(" ", "_")


@dataclass(frozen=True)
class Base:
    """A finished run: config/tiny.yaml with these changes."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """What the user has to bring, besides."""
    targets: tuple[str, ...] = EVERYTHING
    """What there is to ask for."""

    def config(self) -> dict[str, Any]:
        """Return its configuration, every key written out."""
        return changed(_TINY, self.changes)

    def bring(self, folder: Path) -> None:
        """Put the user's files there."""
        for name in self.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{name}, of the user\n")
            # From before the run, also beside one that is finished already.
            os.utime(folder / name, (1_700_000_000, 1_700_000_000))


def changed(config: Mapping[str, Any], lines: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the config with other values at these paths. Raises AssertionError where one is no other."""
    copy = json.loads(json.dumps(config))
    for path, value in lines.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = copy
        for part in parents:
            place = place[part]
        assert place[last] != value, f"{path} is {value} already"
        place[last] = json.loads(json.dumps(value))
    return copy


_SSH = {
    "host": "pi.local", "user": None, "port": None, "config_file": None, "password": None, "folder": ".foxnas",
    "python": None, "wheels": None,
}  # fmt: skip
DATA = Path(__file__).resolve().parents[1] / "data"
_TINY = written_out("tiny")
_DEVICE = _TINY["devices"][0]
_TORCH = {"batch": 64, "compile": False, "cuda_graphs": False, "tf32": False, "channels_last": False}
_NPU = {
    "accelerator_config": "ethos-u55-256", "system_config": "Ethos_U55_High_End_Embedded", "memory_mode": "Shared_Sram",
    "timeout_s": 300, "executable": None, "max_sram_bytes": None, "max_off_chip_bytes": None,
}  # fmt: skip
_NETWORK = {"name": "net", "space": "mini", "donor": "donor.pth"}
_ACCURACIES = {"file": "accuracies.csv", "column": "top1", "unit": "percent"}
_LATENCIES = {"file": "latencies-{size}.csv", "column": "took", "unit": "ms"}
_COMPILER = {"executable": "edgetpu_compiler", "timeout_s": 180, "runtime": 14}
_PI = {**_DEVICE, "name": "pi", "ssh": _SSH}
_CORAL = {
    **_DEVICE, "name": "coral", "kind": "edgetpu", "compiler": _COMPILER, "max_model_bytes": 6000000,
    "ssh": {**_SSH, "host": "coral.local"},
}  # fmt: skip
_GPU = {**_DEVICE, "name": "gpu", "kind": "torch", "torch": _TORCH, "ssh": {**_SSH, "host": "gpubox"}}
BASES = {
    "tiny": Base(files=("other.safetensors", "energy/local-16.csv", "energy/local-24.csv")),
    # Every kind of device.
    "devices": Base({
        "devices": [_DEVICE, _PI, _CORAL, _GPU], "supernet.source": "train", "validation.sustained_s": 5.0,
    }),
    # Two budgets and two rounds on two kinds of device.
    "rounds": Base({
        "devices": [_PI, _CORAL], "supernet.source": "train", "budgets": ["p90", 5.0], "refinement.rounds": 2,
        "validation.sustained_s": 5.0,
    }),
    # A supernet of one's own.
    "trained": Base({"supernet.source": "train"}),
    # Image files, a goal and tables of one's own.
    "own": Base(
        {
            "data.dataset": "folder",
            "data.folder": "photos",
            "data.scene": None,
            "supernet.source": "train",
            "search.objective": {
                "kind": "python", "function": "mine:score", "accuracy_floor": None, "points_per_budget": None
            },
            "predictors.further_targets.0.table": "energy/{device}-{size}.csv",
        },
        ("mine.py", "photos/cat/1.jpg", "energy/local-16.csv", "energy/local-24.csv", "power/local-16.csv",
         "power/local-24.csv"),
    ),
    # A supernet for each of three folds.
    "folded": Base({"supernet.source": "train", "supernet.folds": 3}),
    "pretrained": Base(
        {"supernet.source": "pretrained", "supernet.donor": "donor.pth"},
        ("donor.pth", "other.pth", "energy/local-16.csv", "energy/local-24.csv"),
    ),
    # An off-the-shelf network.
    "rivals": Base(
        {"rivals.networks": [_NETWORK]},
        ("donor.pth", "other.pth", "energy/local-16.csv", "energy/local-24.csv"),
    ),
    # Nothing is timed.
    "npu": Base({
        "devices": [{**_DEVICE, "name": "npu", "kind": "ethos-u", "npu": _NPU}], "predictors.further_targets": [],
    }),
    # A new device, likened to one of two others.
    "likened": Base({
        "devices": [
            _DEVICE, {**_DEVICE, "name": "near", "like": {"devices": ["local"], "until_percent": 10.0}},
            {**_DEVICE, "name": "other"},
        ],
        "predictors.further_targets": [],
    }),
    # Blocks are timed, and few subnets.
    "blocks": Base({
        "devices": [{**_DEVICE, "latency": {"plan": "blocks", "calibration_subnets": 20}}],
        "predictors.further_targets": [], "predictors.latency_form": "layers",
    }),
    # Nothing is measured here.
    "tables": Base(
        {
            "accuracy.source": "table",
            "accuracy.table": _ACCURACIES,
            "devices": [{**_DEVICE, "name": "mine", "kind": "table", "table": _LATENCIES}],
            "predictors.further_targets": [],
        },
        ("accuracies.csv", "latencies-16.csv", "latencies-24.csv", "other.csv"),
        ("all", "compare_predictors"),
    ),
    # A winner's own training.
    "finishing": Base({"finishing.epochs": 1, "finishing.quantisation_aware_epochs": 1}),
    # Accuracies acquired before the search.
    "acquired": Base({"refinement.acquisition.rounds": 2}),
    # Single-Path among the strategies.
    "single-path": Base({"comparison.single_path.epochs": 1}),
    "floor": Base({"search.objective.kind": "latency-under-accuracy", "search.objective.accuracy_floor": 60.0}),
    "weighted": Base({"search.objective.kind": "weighted", "search.objective.points_per_budget": 1.0}),
}  # fmt: skip


def _same(stage: Stage, prefix: str, values: Mapping[str, Any], **more: Any) -> list[Row]:
    return [Row(f"{prefix}.{name}", value, stage, **more) for name, value in values.items()]


def _device(number: int, name: str, stage: Stage, prefix: str, values: Mapping[str, Any]) -> list[Row]:
    """Rows of one device of the base `devices`, none of which may touch another device."""
    return _same(stage, f"devices.{number}{prefix}", values, where={"device": name}, base="devices")


_PROTOCOL = {
    "warm_up_runs": 6, "warm_up_ms": 6.0, "min_runs": 30, "min_time_ms": 21.0, "max_time_ms": 20000.0, "repeats": 3,
    "threads": 2, "cpu": 0, "xnnpack": True, "reference_every": 10, "max_relative_mad": 0.2, "max_preempted": 0.5,
    "max_drift": 0.2, "max_disagreement": 0.06, "max_attempts": 7, "seed": 1,
}  # fmt: skip
_PHASE = {
    "epochs": 7, "learning_rate": 0.005, "kernel_sizes": [5, 7], "expansion_ratios": [3, 4, 6], "depths": [3, 4],
    "kernel_weights": [0.2, 0.3, 0.5], "expansion_weights": [0.1, 0.2, 0.3, 0.4], "depth_weights": [0.2, 0.3, 0.5],
}  # fmt: skip
_ONE_SUBNET = {
    f"supernet.training.phases.0.{knob}": value
    for knob, value in {"kernel_sizes": [7], "expansion_ratios": [6], "depths": [4]}.items()
}
_PHASES = [
    {**_PHASE, "kernel_sizes": [3, 5, 7], "expansion_ratios": [2, 3, 4, 6], "depths": [2, 3, 4]},
]
_TRAINING = {
    "seed": 1, "batch_size": 128, "batch_parts": 2, "weight_decay": 0.0002, "distillation": 0.5, "average_decay": 0.99,
    "precision": "bf16", "warm_up_steps": 100, "smallest_crop": 0.2,
    "class_weights": "balanced", "symmetry": "quarter-turns",
}  # fmt: skip
#: From tables back to a supernet and a device: the lines that change together, without the one that they go with.
_MEASURED = {"accuracy.source": "supernet", "accuracy.table": None, "devices.0.kind": "tflite", "devices.0.table": None}
_FINISHING = {
    "learning_rate": 0.002, "batch_size": 32, "warm_up_steps": 20, "weight_decay": 0.001, "distillation": 0.6,
    "seed": 1, "patience": 1, "quantisation_aware_learning_rate": 0.0002,
}  # fmt: skip
_SINGLE_PATH = {"batch_size": 32, "learning_rate": 0.002}
ROWS = [
    *_same(SPACE, "space", {
        "name": "other", "kernel_sizes": [3, 5], "expansion_ratios": [3, 4], "depths": [2, 3],
        "padding": "symmetric", "stem_width": 12, "stem_stride": 1, "stem_activation": "relu",
        "first_activation": "relu", "first_residual": False, "head_width": 64, "head_activation": "relu",
        "mix_width": 16, "kernel_transforms": True, "squeeze.reduction": 8,
        "squeeze.divisor": 2, "squeeze.minimum": 2, "squeeze.activation": "relu", "units.0.width": 12,
        "units.0.stride": 1, "units.1.type": 2, "units.1.activation": "relu", "units.1.first_type": 2,
        "units.0.depths": [2, 3], "units.0.kernel_sizes": [3, 5], "units.0.expansion_ratios": [4, 6],
        "batch_norm_eps": 0.001,
    }),
    Row("space.first_width", 4, SPACE, also={"space.first_residual": False}),
    Row("space.units", [{"width": 8, "stride": 2, "type": 1, "activation": "relu", "first_type": 0}], SPACE),
    Row("space.size_divisor", 2, NOTHING),
    Row("space.normalisation", "imagenet", SPLIT | SPACE, also={"space.image_channels": 3}),
    Row("space.image_sizes", [16, 20, 24], NEW_SIZE, {"size": "20"}, note="a checkpoint"),
    Row("space.image_sizes", [12, 16, 24], NEW_SIZE, {"size": "12"}, note="a checkpoint"),
    Row("space.image_sizes", [16, 20, 24], NEW_SIZE_TRAINED, base="trained", note="a supernet trained here"),
    Row("space.image_sizes", [16], BUDGET | RIVALS | TARGET | BASELINES, note="one less"),
    *_same(SPLIT | SPACE, "space", {"image_channels": 3, "classes": 11}),

    Row("data.dataset", "KMNIST", FETCH),
    Row("data.folder", "elsewhere", FETCH),
    *_same(SPLIT, "data", {
        "scene": None, "scene.canvas": 50, "scene.smallest_scale": 0.6, "scene.largest_angle": 20.0,
        "evaluate_on": "held-out", "seed": 1, "stratified": True, "splits.train": 4001, "splits.fit": 1001,
        "splits.verify": 1001, "splits.test": 1001,
    }),
    Row("data.centre_share", 0.875, RESIZED),
    Row("data.corrupt_images", "skip", NOTHING, note="arrays"),
    Row("data.corrupt_images", "skip", SPLIT, base="own", note="image files"),

    Row("supernet.source", "train", SUPERNET),
    Row("supernet.checkpoint", "other.safetensors", SUPERNET),
    Row("supernet.checkpoint", "other.safetensors", NOTHING, base="trained", note="a supernet trained here"),
    Row("supernet.donor", "other.pth", NOTHING, note="a checkpoint"),
    Row("supernet.donor", "other.pth", SUPERNET, base="pretrained", note="a supernet trained from a donor"),
    Row("supernet.gpus", 1, NOTHING, base="trained"),
    Row("supernet.licence", "CC BY 4.0", CARD),
    Row("data.licence", "CC BY 4.0", CARD),
    Row("supernet.folds", 2, FOLDS, base="own", note="one before"),
    *_same(NOTHING, "supernet.training", _TRAINING, note="a checkpoint"),
    *_same(NOTHING, "supernet.training.phases.0", _PHASE, note="a checkpoint"),
    Row("supernet.training.phases.0.patience", 2, NOTHING, also=_ONE_SUBNET, note="a checkpoint"),
    Row("supernet.training.phases.0.patience", 2, SUPERNET, base="trained", also=_ONE_SUBNET,
        note="a supernet trained here"),
    *_same(SUPERNET, "supernet.training", _TRAINING, base="trained", note="a supernet trained here"),
    *_same(SUPERNET, "supernet.training.phases.0", _PHASE, base="trained", note="a supernet trained here"),
    Row("supernet.training.phases", [_PHASES[0]], SUPERNET, base="devices", note="a supernet trained here"),
    Row("supernet.training.seed", 1, SUPERNET, base="rounds", note="a supernet trained here"),
    Row("supernet.training.phases", [_PHASES[0]], NOTHING, note="a checkpoint"),

    Row("supernet.folds", 4, NEW_FOLD, base="folded", note="several before"),
    Row("supernet.training.seed", 1, SUPERNET, base="folded", note="several folds"),
    Row("data.splits.fit", 1001, SPLIT, base="folded", note="several folds"),
    Row("data.centre_share", 0.875, RESIZED, base="folded", note="several folds"),
    Row("accuracy.recalibration_images", 200, CALIBRATION, base="folded", note="several folds"),
    Row("accuracy.batch_size", 512, ACCURACY, base="folded", note="several folds"),

    Row("sampling.seed", 1, SAMPLE),
    Row("sampling.design", "i-optimal", SAMPLE),
    Row("sampling.subnets", 200, GROWTH),
    Row("accuracy.recalibration_images", 200, CALIBRATION),
    Row("accuracy.batch_size", 512, ACCURACY),
    Row("accuracy.precision", "bf16", ACCURACY),
    Row("accuracy.device", "auto", NOTHING, note="recorded in every row"),

    Row("accuracy.source", "supernet", FETCH | SPACE, base="tables", also=_MEASURED, note="from tables"),
    Row("accuracy.table", None, FETCH | SPACE, base="tables", also=_MEASURED, note="from tables"),
    Row("devices.0.table", None, FETCH | SPACE, base="tables", also=_MEASURED, note="from tables"),
    *_same(ACCURACIES_TAKEN, "accuracy.table", {"file": "other.csv", "column": "top1_percent", "unit": "fraction"},
           base="tables", note="tables"),
    *_same(LATENCIES_TAKEN, "devices.0.table", {"file": "other.csv", "column": "latency_ms", "unit": "us"},
           base="tables", note="tables"),
    Row("data", None, NOTHING, base="tables", note="tables"),
    Row("supernet", None, NOTHING, base="tables", note="tables"),
    *_same(NOTHING, "refinement", {"rounds": 2, "twists": 3, "acquisition.rounds": 1}, base="tables", note="tables"),

    *_device(1, "pi", NEW_DEVICE, "", {"ssh.host": "elsewhere", "ssh.python": "python3"}),
    *_device(1, "pi", PROVISION, "", {
        "ssh.user": "me", "ssh.port": 2222, "ssh.config_file": "config", "ssh.password": "prompt",
        "ssh.folder": "foxnas", "ssh.wheels": "wheels",
    }),
    Row("devices.1.ssh", None, LATENCY, {"device": "pi"}, "devices", note="this machine itself"),
    Row("devices.1.hosts", ["pi.local", "pi2.local"], PROVISION, {"device": "pi"}, "devices", note="further boards"),
    Row("devices.1.hosts", ["pi2.local", "pi.local"], NEW_DEVICE, {"device": "pi"}, "devices",
        {"devices.1.ssh.host": "pi2.local"}, note="another first board"),
    *_device(1, "pi", NOTHING, "", {"max_board_difference": 0.2}),
    *(
        row
        for number, name in enumerate(("local", "pi", "coral", "gpu"))
        for row in (
            *_device(number, name, NOTHING, ".patience", {"silence_s": 61.0, "away_minutes": 2.0, "busy_minutes": 3.0}),
            *_device(number, name, SEARCH, "", {"max_model_bytes": 50000}),
            *_device(number, name, LATENCY, ".protocol", {"xnnpack": True, "seed": 1}),
        )
    ),
    *_device(1, "pi", LATENCY, ".protocol", {k: v for k, v in _PROTOCOL.items() if k not in ("xnnpack", "seed")}),
    Row("devices.0.protocol.seed", 1, LATENCY, {"device": "pi"}, "rounds"),
    Row("devices.1.protocol.seed", 1, LATENCY, {"device": "coral"}, "rounds"),
    *_device(2, "coral", NOTHING, ".compiler", {"executable": "/opt/edgetpu_compiler"}),
    *_device(2, "coral", COMPILATION, ".compiler", {"timeout_s": 60, "runtime": 13}),
    *_device(3, "gpu", LATENCY, ".torch", {
        "batch": 1, "compile": True, "cuda_graphs": True, "tf32": True, "channels_last": True,
    }),
    *_same(LATENCY, "devices.0.npu", {
        "accelerator_config": "ethos-u55-128", "system_config": "Ethos_U55_Deep_Embedded", "memory_mode": "Sram_Only",
        "timeout_s": 60,
    }, base="npu"),
    Row("devices.0.npu.executable", "/opt/vela", LATENCY, base="npu", note="another Vela than the pinned one"),
    *_same(SEARCH, "devices.0.npu", {"max_sram_bytes": 200000, "max_off_chip_bytes": 100000}, base="npu"),
    Row("devices.0.protocol.xnnpack", True, EXPORT, base="npu", note="answers of this host for an Ethos-U"),
    Row("devices.0.npu", None, LATENCY, base="npu", also={"devices.0.kind": "tflite"}),
    Row("devices.1.like", None, LATENCY, {"device": "near"}, "likened"),
    *_same(LIKENED, "devices.1.like", {"devices": ["other"], "until_percent": 5.0}, where={"device": "near"},
           base="likened"),
    Row("sampling.subnets", 200, GROWTH, base="likened", note="a device that is likened to others"),
    Row("devices.0.latency.plan", "subnets", LATENCY, base="blocks"),
    Row("devices.0.latency.calibration_subnets", 30, CALIBRATING, base="blocks"),
    Row("devices.0.latency.calibration_subnets", 30, NOTHING, note="a device that times all subnets"),
    Row("sampling.subnets", 200, GROWTH, base="blocks", note="a device that times blocks"),
    Row("devices.0.protocol.seed", 1, BLOCKS, base="blocks", note="a device that times blocks"),
    Row("devices.1.name", "board", NEW_DEVICE, {"device": "board"}, "devices"),
    Row("devices.1.kind", "torch", NEW_DEVICE, {"device": "pi"}, "devices", {"devices.1.torch": _TORCH}),
    Row("devices.2.compiler", None, NEW_DEVICE, {"device": "coral"}, "devices", {"devices.2.kind": "tflite"}),
    Row("devices.3.torch", None, NEW_DEVICE, {"device": "gpu"}, "devices", {"devices.3.kind": "tflite"}),
    Row("devices", [_DEVICE, _PI], NEW_DEVICE, {"device": "pi"}, note="one more"),
    Row("devices", [_DEVICE], REPORT | STRATEGIES_PAGE | PREDICTORS_PAGE, base="devices", note="fewer"),

    Row("predictors.accuracy_target", "probability", ACCURACY_FIT | RIVALS_OF_ACCURACY),
    Row("predictors.accuracy_form", "layers", ACCURACY_FIT | PREDICTORS_PAGE),
    Row("predictors.accuracy_link", "identity", ACCURACY_FIT),
    Row("predictors.accuracy_sizes", "together", ACCURACY_FIT),
    Row("predictors.latency_form", "layers", LATENCY_FIT | PREDICTORS_PAGE),
    Row("predictors.folds", 5, ACCURACY_FIT | LATENCY_FIT | TARGET),
    Row("predictors.seed", 1, ACCURACY_FIT | LATENCY_FIT | TARGET | RIVALS),
    Row("predictors.rivals", None, RIVALS),
    *_same(RIVALS, "predictors.rivals", {"training_subnets": [50], "repeats": 2, "network_steps": 60}),
    Row("predictors.further_targets", [], REPORT),
    *_same(TARGET, "predictors.further_targets.0", {
        "name": "slow", "column": "p10_ms", "unit": "s", "form": "layers", "table": "energy/{device}-{size}.csv",
    }),
    Row("predictors.further_targets.0.table", "power/{device}-{size}.csv", TARGET, base="own"),

    Row("budgets", ["p90", "p80"], BUDGET | BASELINES, {"budget": "p80"}, note="one more"),
    Row("budgets", ["P90.0"], NOTHING, note="the same, spelt otherwise"),
    Row("budgets", ["p90"], BASELINES | STRATEGIES_PAGE, base="rounds", note="one less"),
    *_same(SEARCH, "search", {
        "strategy": "evolution", "seed": 1, "candidates": 3, "incumbents": 2, "objective.kind": "knee",
        "annealing.initial_temperature": 5, "annealing.proposals_per_temperature": 50, "annealing.boltzmann": 0.02,
        "annealing.switch_after": 9, "annealing.rounds": 3, "annealing.chains": 16, "annealing.guided": False,
        "annealing.polish": False,
    }),
    *_same(SEARCH, "search.caps", {
        "max_parameters": 10**6, "max_macs": 10**7, "max_int8_bytes": 10**6, "max_activation_bytes": 10**6,
    }),
    *_same(SEARCH | STRATEGIES, "search", {"alike_layers": True, "reserves_percent": [4.0, 20.0]}),
    Row("search.objective.accuracy_floor", 65.0, SEARCH, base="floor"),
    Row("search.objective.points_per_budget", 2.0, SEARCH, base="weighted"),
    Row("search.objective.function", "mine:other", SEARCH, base="own"),

    *_same(STRATEGIES, "comparison", {"seeds": 1, "calls": 1000}),
    Row("comparison.single_path.epochs", 1, STRATEGIES, note="none before"),
    *_same(NOTHING, "comparison.single_path", _SINGLE_PATH, note="no Single-Path"),
    *_same(STRATEGIES, "comparison.single_path", {"epochs": 2, **_SINGLE_PATH}, base="single-path",
           note="Single-Path takes part"),
    Row("refinement.rounds", 2, SEARCH_AGAIN),
    Row("refinement.settled_points", 0.1, NOTHING, note="one round"),
    Row("refinement.acquisition.rounds", 2, ACQUISITION, note="none before"),
    Row("refinement.acquisition.rounds", 3, ACQUISITION_AGAIN, base="acquired", note="one more"),
    Row("refinement.acquisition.rounds", 0, SEARCH, base="acquired", note="none"),
    *_same(NOTHING, "refinement.acquisition", {"subnets": 20, "agreed_points": 0.3}, note="none"),
    *_same(ACQUISITION, "refinement.acquisition", {"subnets": 20, "agreed_points": 0.3}, base="acquired",
           note="accuracies are acquired"),
    Row("refinement.settled_points", 0.1, LATER_ROUNDS, base="rounds", note="several rounds"),
    Row("refinement.twists", 3, TWISTS, note="another number"),
    Row("refinement.twists", 0, WINNER, note="none"),
    *_same(TIMING, "verification", {"sessions": 4, "spread_s": 1.0}, base="rounds"),
    Row("verification.margin_percent", 2.0, TWISTS),
    Row("verification.chosen_by", "probability", TWISTS),
    Row("verification.chosen_by", "probability", TWISTS | FINISHING, base="finishing",
        note="winners trained on their own"),
    *_same(EXPORT, "export", {"with": "tensorflow", "biases": "rounded"}),
    Row("export.calibration_images", 32, EXPORT, note="no more than recalibration_images"),
    Row("export.calibration_images", 300, CALIBRATION, note="more"),
    Row("finishing.epochs", 1, FINISHING, note="none before"),
    *_same(NOTHING, "finishing", _FINISHING, note="winners as they are"),
    *_same(FINISHING, "finishing", {"epochs": 2, "quantisation_aware_epochs": 0, **_FINISHING}, base="finishing",
           note="winners trained on their own"),
    *_same(FINISHING, "supernet.training", {"smallest_crop": 0.2, "class_weights": "balanced", "symmetry": "flips"},
           base="finishing", note="winners trained on their own"),
    Row("validation.max_drop_percent", 2.0, FINISHING | VERDICT, base="finishing", note="winners trained on their own"),
    *_same(CONFIRMATION, "validation", {"sessions": 4, "most_sessions": 30, "spread_s": 1.0}, base="rounds"),
    Row("validation.most_candidates", 2, CONFIRMATION, base="rounds"),
    Row("validation.unkept", "fail", PROMISES),
    Row("validation.max_drop_percent", 2.0, VERDICT),
    Row("validation.accuracy_on", "host", VERDICT, {"device": "pi"}, "rounds"),
    Row("validation.sustained_s", 2.0, SUSTAINED, note="none before"),
    Row("validation.sustained_s", 10.0, SUSTAINED, base="rounds"),
    *_same(BASELINES, "baselines", {"seed": 1, "random_searches": 11}),
    Row("baselines.extra_subnets", 100, EXTRA),

    *_same(RIVALS_TRAINED, "rivals", {"epochs": 1, "learning_rate": 0.01}, base="rivals"),
    Row("rivals.image_sizes", [16], RIVALS_TIMED, base="rivals", note="one less"),
    Row("rivals.networks", [_NETWORK, {**_NETWORK, "name": "other"}], RIVALS_TRAINED, {"rival": "other"}, "rivals",
        note="one more"),
    Row("rivals.networks", [], REPORT, base="rivals", note="none"),
    *_same(RIVALS_TRAINED, "rivals.networks.0", {
        "name": "other", "space": str(DATA / "small-network.yaml"), "donor": "other.pth",
    }, base="rivals"),
    Row("supernet.training.batch_size", 128, RIVALS_TRAINED, base="rivals", note="with rivals"),
    Row("supernet.training.distillation", 0.5, NOTHING, base="rivals", note="with rivals"),
    Row("export.calibration_images", 32, EXPORT | RIVALS_EXPORTED, base="rivals", note="with rivals"),
    Row("devices.0.protocol.xnnpack", True, LATENCY | RIVALS_VALIDATED, base="rivals", note="with rivals"),
    Row("validation.sessions", 4, CONFIRMATION, base="rivals", note="with rivals"),
    Row("data.splits.test", 1001, SPLIT, base="rivals", note="with rivals"),
    Row("data.centre_share", 0.875, RESIZED, base="rivals", note="with rivals"),
]  # fmt: skip


def all_changed(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the configuration of rows of one base, changed all at once."""
    lines: dict[str, Any] = {}
    for row in rows:
        lines |= {row.path: row.value, **row.also}
    return changed(BASES[rows[0].base].config(), lines)


def deciding_nothing(base: str) -> list[list[Row]]:
    """Return the rows of a base that rerun nothing, in groups that can be changed all at once."""
    groups: list[list[Row]] = []
    for row in (row for row in ROWS if row.base == base and row.stage == NOTHING):
        group = next((group for group in groups if _stand_together([*group, row])), [])
        if not group:
            groups.append(group)
        group.append(row)
    return groups


def _stand_together(rows: Sequence[Row]) -> bool:
    """Whether no line contains another, and the configuration is valid."""
    lines = sorted(f"{path}." for row in rows for path in (row.path, *row.also))
    if any(below.startswith(line) for line, below in pairwise(lines)):
        return False
    try:
        load_config(all_changed(rows), "rows")
    except FoxnasError:
        return False
    return True
