"""A small finished run for the report: the workflow's own scripts write it.

Only what needs images, a device or TensorFlow is made up (`made_up`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from foxnas.config.whole import Config, read_config
from foxnas.device.acceptance import COLUMNS
from foxnas.files.arrays import seal_array
from foxnas.files.tables import read_json, read_table, write_json, write_table
from foxnas.images.config import ViewConfig
from foxnas.predictor.config import FurtherTargetConfig, RivalsConfig
from foxnas.report.files import PageFiles
from foxnas.search.config import SinglePathConfig
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.model import Supernet
from foxnas.verdict.paired import packed
from tests.support.made_up import (
    DEVICE,
    IDENTITY,
    ROOT,
    Truth,
    compare_baselines,
    confirm_latency,
    measure_found,
    verify,
)
from tests.support.scripts import made_by, script

_STAGES = ("accuracy", f"latency-{DEVICE}")


@dataclass(frozen=True)
class ReportRun:
    """Where the run is."""

    results: Path
    space: str
    sizes: list[int]
    devices: list[str]
    budgets: list[str]

    @property
    def files(self) -> PageFiles:
        """What the page is written of."""
        return PageFiles(self.results, self.space, self.sizes, self.devices, self.budgets, ["round-1", "twist"])

    def copy_to(self, results: Path) -> ReportRun:
        """Return a copy of it, below `results`."""
        return replace(self, results=shutil.copytree(self.results, results, dirs_exist_ok=True))


def make_run(
    results: Path,
    *,
    sizes: Sequence[int] = (16, 24),
    units: int = 3,
    subnets: int = 90,
    images: int = 3000,
    budgets: Sequence[str] = ("p25", "p50"),
    target: str = "top1",
    form: str = "paper",
    seed: int = 7,
) -> ReportRun:
    """Write a finished run below `results`."""
    config = _config(sizes, units, target, form)
    space = config.space
    truth = Truth(space, images, seed)
    folder = results / space.name
    for size in sizes:
        _measure(folder / str(size), config, space, truth, size, subnets)
    for budget in budgets:
        _search(folder, config, truth, list(sizes), budget, subnets)
    compare_baselines(folder, config, truth, list(sizes), list(budgets), subnets)
    return ReportRun(results, space.name, list(sizes), [DEVICE], list(budgets))


def _config(sizes: Sequence[int], units: int, target: str, form: str) -> Config:
    """The demo's configuration, smaller."""
    value = read_config(ROOT / "config" / "config.yaml").model_dump()
    value["space"] |= {"name": "tiny", "image_sizes": list(sizes), "units": value["space"]["units"][:units]}
    value["predictors"] |= {"accuracy_target": target, "accuracy_form": form}
    value["verification"]["chosen_by"] = target
    value["search"]["annealing"] |= {"proposals_per_temperature": 30, "rounds": 2}
    value["search"]["candidates"] = 3
    return Config.model_validate(value)


def _measure(folder: Path, config: Config, space: SearchSpace, truth: Truth, size: int, subnets: int) -> None:
    sample = space.sample(size, np.random.default_rng([1, size]))
    archs = [next(sample) for _ in range(subnets)]
    correct = np.stack([truth.correct(arch, "fit") for arch in archs])
    ability = np.array([truth.ability(arch) for arch in archs])
    folds = 100 * (ability[:, None] * 0.2 + 0.35) + truth.rng.normal(0, 0.15, (subnets, 10))
    names = {"id": [a.id for a in archs], "arch": [a.text for a in archs]}
    accuracy = pd.DataFrame(
        names
        | {
            "top1_percent": 100 * correct.mean(axis=1),
            "correct_probability_percent": folds.mean(axis=1),
            "images": truth.images,
            "seconds": 0.1,
            "device": "cpu",
            "precision": "fp32",
        }
    )
    settings = {"space": config.space, "sample": config.sampling}
    shards = folder / "shards"
    write_table(
        shards / "accuracy" / "0.csv", accuracy, made_by("evaluate_subnets", **settings, accuracy=config.accuracy)
    )
    np.savez(
        shards / "accuracy" / "0.npz",
        id=np.array(names["id"]), correct=np.packbits(correct, axis=1), probability_folds=folds,
    )  # fmt: skip

    median = np.array([truth.latency_ms(arch) for arch in archs]) * truth.rng.lognormal(0, 0.012, subnets)
    usable = np.arange(subnets) % 41 != 40
    latency = pd.DataFrame(names, columns=list(COLUMNS)).assign(
        latency_ms=median * np.where(usable, 1, 1.4), p10_ms=median * 0.98, p90_ms=median * 1.04, mad_ms=median * 0.008,
        runs=50, preempted_percent=0.5, attempts=np.where(usable, 2, 5), disagreement_percent=0.9, reference_ms=0.3,
        drift_percent=truth.rng.normal(0, 0.7, subnets), fallback_operators=2, peak_memory_mb=40.0,
        batch=1, dtype="int8", signedness="signed", io_dtype="uint8", executor="own kernels",
        clock_mhz=truth.rng.uniform(1495, 1500, subnets),
        usable=usable, reason=np.where(usable, None, "timings disagree by 9.3% (limit 5%)"),
    )  # fmt: skip
    timed = made_by("time_subnets", **settings, device=config.devices[0]) | {"identity": IDENTITY}
    write_table(shards / f"latency-{DEVICE}" / "0.csv", latency, timed)
    for stage in ("accuracy", f"latency-{DEVICE}"):
        script("gather_shards")(shards=[shards / stage / "0.csv"], rows=subnets, table=folder / f"{stage}.csv")
    common = {"space": config.space, "folds": config.predictors.folds, "seed": 0, "image_size": size}
    script("fit_accuracy")(
        **common, target=config.predictors.accuracy_target, form=config.predictors.accuracy_form,
        link=config.predictors.accuracy_link, table=folder / "accuracy.csv", outcomes=[shards / "accuracy" / "0.npz"],
        predictor=folder / "predictors" / "accuracy.json", fits=folder / "predictors" / "accuracy-fits.json",
    )  # fmt: skip
    script("fit_latency")(
        **common, form=config.predictors.latency_form, table=folder / f"latency-{DEVICE}.csv",
        predictor=folder / "predictors" / f"latency-{DEVICE}.json",
        fits=folder / "predictors" / f"latency-{DEVICE}-fits.json",
    )  # fmt: skip


def add_target(run: ReportRun) -> dict[str, Any]:
    """Add fits of a further target; return what `PageFiles` is to be told."""
    folder = run.results / run.space
    script("fit_target")(
        space=_config(run.sizes, 3, "top1", "paper").space, folds=5, seed=0,
        tables=[folder / str(size) / f"{_STAGES[1]}.csv" for size in run.sizes],
        target=FurtherTargetConfig(name="p90", column="p90_ms", unit="ms", form="layers-shrunk", table=None),
        fits=[folder / str(size) / "predictors" / f"p90-{DEVICE}-fits.json" for size in run.sizes],
    )  # fmt: skip
    return {"further_targets": ["p90"]}


def config_of(run: ReportRun) -> Config:
    """Return the config that further files of a run are made by."""
    return _config(run.sizes, 3, "top1", "paper")


def add_acquisition(run: ReportRun, rounds: int = 2, agreed_points: float = 0.0) -> dict[str, Any]:
    """Acquire accuracies in rounds, as before a search; return what `PageFiles` is to be told."""
    config, truth = _config(run.sizes, 3, "top1", "paper"), Truth(_config(run.sizes, 3, "top1", "paper").space, 3000, 7)
    folder = run.results / run.space
    acquired, names = folder / "search" / DEVICE / "acquired", [f"round-{number + 1}" for number in range(rounds)]
    measured = [folder / str(size) / "accuracy.csv" for size in run.sizes]
    common = {"space": config.space, "target": "top1"}
    predictors = [folder / str(size) / "predictors" / "accuracy.json" for size in run.sizes]
    for place in range(rounds):
        before, now = [acquired / one for one in names[:place]], [acquired / one for one in names[: place + 1]]
        script("acquire_subnets")(
            **common, count=12, agreed_points=agreed_points, reserves_percent=[3.0, 10.0], alike_layers=False,
            caps=config.search.caps, seed=0, accuracy=predictors, measured=measured,
            budgets=[folder / "search" / DEVICE / budget / "budget.json" for budget in run.budgets],
            latency=[folder / str(size) / "predictors" / f"latency-{DEVICE}.json" for size in run.sizes],
            acquired=[one / "accuracy.csv" for one in before], refit=[one / "refit.json" for one in before],
            subnets=now[-1] / "subnets.csv", agreement=now[-1] / "agreement.json",
        )  # fmt: skip
        chosen = read_table(now[-1] / "subnets.csv")
        top1 = [100 * truth.correct(Arch.parse(text), "fit").mean() for text in chosen["arch"]]
        columns = {"top1_percent": top1, "correct_probability_percent": top1}
        settings = {"space": config.space, "sample": config.sampling, "accuracy": config.accuracy}
        write_table(
            now[-1] / "accuracy.csv", chosen[["id", "arch"]].assign(**columns), made_by("evaluate_subnets", **settings)
        )
        predictors = [now[-1] / "predictors" / str(size) / "accuracy.json" for size in run.sizes]
        script("fit_acquired")(
            **common, form="paper", link="auto", folds=10, seed=0, sizes="together", measured=measured,
            subnets=[one / "subnets.csv" for one in now], acquired=[one / "accuracy.csv" for one in now],
            predictors=predictors, refit=now[-1] / "refit.json",
        )  # fmt: skip
    return {"acquired": names}


def search_after_acquisition(run: ReportRun, budget: str, names: Sequence[str], out: Path) -> Path:
    """Search with what the rounds left; return the table of candidates."""
    config, folder = _config(run.sizes, 3, "top1", "paper"), run.results / run.space
    rounds = [folder / "search" / DEVICE / "acquired" / name for name in names]
    script("search_architectures")(
        space=config.space, search=config.search.model_copy(update={"strategy": "exact"}), caps=config.search.caps,
        target="top1", budget=folder / "search" / DEVICE / budget / "budget.json", earlier=[], refit=[],
        acquired=[one / "accuracy.csv" for one in rounds],
        accuracy=[rounds[-1] / "predictors" / str(size) / "accuracy.json" for size in run.sizes],
        latency=[folder / str(size) / "predictors" / f"latency-{DEVICE}.json" for size in run.sizes],
        measured_accuracy=[folder / str(size) / "accuracy.csv" for size in run.sizes],
        measured_latency=[folder / str(size) / f"latency-{DEVICE}.csv" for size in run.sizes],
        **{name: out / f"{name}.csv" for name in ("candidates", "trace", "frontier")},
        certificate=out / "certificate.json",
    )  # fmt: skip
    return out / "candidates.csv"


def add_sustained(run: ReportRun) -> dict[str, Any]:
    """Have the deployed models run without a pause; return what `PageFiles` is to be told."""
    figures = {
        "first_ms": 0.7125, "loading_ms": 9.0, "runs": 31_415, "p50_ms": 0.3, "p90_ms": 0.3475, "p99_ms": 0.4125,
        "slowest_ms": 2.0, "seconds": 300.0, "begin_ms": 0.3, "end_ms": 0.36, "slowdown_percent": 20.0,
        "begin_temperature_c": None, "highest_temperature_c": None, "lowest_clock_mhz": None, "throttled": "throttled",
    }  # fmt: skip
    for budget in run.budgets:
        place = run.results / run.space / "deploy" / DEVICE / budget / "sustained.json"
        write_json(place, {"made_by": made_by("time_sustained", device=None), "summary": figures})
    return {"sustained": [DEVICE]}


def add_rivals(run: ReportRun) -> dict[str, Any]:
    """Compare with two networks, one of them from random weights; return what `PageFiles` is to be told."""
    folder, rng, images = run.results / run.space, np.random.default_rng(11), 3000
    networks = folder / "rivals" / "networks"
    models, timed = [(name, size) for name in ("lite", "mobile") for size in run.sizes], dict[str, Any]()
    for place, (name, size) in enumerate(models):
        correct = rng.random(images) < 0.6 + 0.03 * place
        write_json(
            networks / name / str(size) / "exported.json",
            {"arch": f"r{size}_k3e6", "parameters": 10**6, "macs": 10**7, "model_bytes": 10**6 + place},
        )
        write_json(
            folder / "rivals" / DEVICE / name / str(size) / "accuracy.json",
            {
                "verify": {"int8_top1_percent": float(100 * correct.mean()), "int8_probability_percent": 50.0},
                "test_images": images,
                "test_correct": packed(correct),
            },
        )
        timed[f"rival {name} {size}"] = 0.2 + 0.3 * place
    searches = [folder / "search" / DEVICE / budget for budget in run.budgets]
    deployed = [folder / "deploy" / DEVICE / budget for budget in run.budgets]
    for budget, deploy in zip(run.budgets, deployed, strict=True):
        timed[f"budget {budget}"] = read_json(deploy / "validation.json")["latency_median_ms"]
    own = folder / "rivals" / DEVICE
    write_json(
        own / "latency.json",
        {"models": {name: {"median_ms": ms, "upper_ms": 1.02 * ms} for name, ms in timed.items()}},
    )
    script("compare_rivals")(
        pretrained=["lite"], chosen_by="top1", **_test_split(folder, images),
        budgets=[search / "budget.json" for search in searches],
        winners=[search / "winner.json" for search in searches],
        ours=[deploy / "accuracy.json" for deploy in deployed],
        exported=[networks / name / str(size) / "exported.json" for name, size in models],
        theirs=[own / name / str(size) / "accuracy.json" for name, size in models],
        latencies=own / "latency.json", table=own / "rivals.csv", comparison=own / "rivals.json",
    )  # fmt: skip
    return {"with_rivals": [DEVICE]}


def compare_predictors(run: ReportRun) -> Path:
    """Compare predictors as one may ask for; return the page."""
    folder = run.results / run.space
    space = _config(run.sizes, 3, "top1", "paper").space
    rivals = RivalsConfig(training_subnets=[30, 60, 90], repeats=1, network_steps=3)
    scores = [folder / "predictors" / f"{stage}-scores.csv" for stage in _STAGES]
    for target, stage, table in zip(("top1", "latency"), _STAGES, scores, strict=True):
        script("score_predictors")(
            space=space, target=target, rivals=rivals, seed=0, scores=table,
            tables=[folder / str(size) / f"{stage}.csv" for size in run.sizes],
        )  # fmt: skip
    script("compare_predictors")(
        space=run.space, devices=run.devices, accuracy_target="top1", accuracy_form="paper", latency_form="layers",
        accuracy=scores[0], latency=scores[1:], page=folder / "predictors.html",
    )  # fmt: skip
    return folder / "predictors.html"


def search_single_path(run: ReportRun, budget: str) -> Path:
    """Train a superkernel from random weights on random images, for two seeds; return what it found."""
    folder, space = run.results / run.space, _config(run.sizes, 3, "top1", "paper").space
    search, rng = folder / "search" / DEVICE / budget, np.random.default_rng(3)
    arrays = {name: run.results / f"{name}.npy" for name in ("train-images", "train-labels")}
    if not (folder / "supernet.safetensors").exists():
        torch.manual_seed(0)
        save_supernet(Supernet(space), folder / "supernet.safetensors", {})
        np.save(arrays["train-images"], rng.integers(0, 256, (64, 28, 28, 1), dtype=np.uint8))
        np.save(arrays["train-labels"], rng.integers(0, space.classes, 64))
        for path in arrays.values():
            seal_array(path)
    script("search_single_path")(
        space=space, reserve_percent=3.0, alike_layers=False, seeds=2, smallest_crop=0.08, symmetry="mirror", threads=1,
        training=SinglePathConfig(epochs=1, batch_size=16),
        view=ViewConfig(folder=None, channels=1, centre_share=1.0, corrupt_images="fail"),
        supernet=folder / "supernet.safetensors", budget=search / "budget.json",
        accuracy=[folder / str(size) / "predictors" / "accuracy.json" for size in run.sizes],
        latency=[folder / str(size) / "predictors" / f"latency-{DEVICE}.json" for size in run.sizes],
        train_images=arrays["train-images"], train_labels=arrays["train-labels"],
        journal=search / "journals" / "single-path.jsonl", found=search / "strategies" / "single-path.csv",
    )  # fmt: skip
    return search / "strategies" / "single-path.csv"


def compare_strategies(run: ReportRun) -> Path:
    """Compare strategies as one may ask for, Single-Path too, measured by a truth of their own; return the page."""
    folder = run.results / run.space
    config = _config(run.sizes, 3, "top1", "paper")
    tables = {stage: [folder / str(size) / f"{stage}.csv" for size in run.sizes] for stage in _STAGES}
    predictors = [[folder / str(size) / "predictors" / f"{stage}.json" for size in run.sizes] for stage in _STAGES]
    searches = [folder / "search" / DEVICE / budget for budget in run.budgets]
    for search, budget in zip(searches, run.budgets, strict=True):
        script("run_strategies")(
            space=config.space, reserve_percent=min(config.search.reserves_percent), alike_layers=False, seeds=2,
            calls=600, budget=search / "budget.json", accuracy=predictors[0], latency=predictors[1],
            single_path=search_single_path(run, budget),
            **{name: search / "strategies" / f"{name}.csv" for name in ("trace", "found", "subnets")},
        )  # fmt: skip
        measure_found(search / "strategies", Truth(config.space, 3000, 7))
    found = {
        name: [search / "strategies" / f"{file}.csv" for search in searches]
        for name, file in (("traces", "trace"), ("found", "found"), ("found_accuracy", "accuracy"),
                           ("found_latency", "latency"))
    }  # fmt: skip
    script("compare_strategies")(
        space=run.space, devices=run.devices, target="top1", accuracy=tables[_STAGES[0]], latency=tables[_STAGES[1]],
        budgets=[search / "budget.json" for search in searches], **found, page=folder / "strategies.html",
    )  # fmt: skip
    return folder / "strategies.html"


def _search(folder: Path, config: Config, truth: Truth, sizes: list[int], budget: str, rows: int) -> None:
    search, deploy = folder / "search" / DEVICE / budget, folder / "deploy" / DEVICE / budget
    accuracy = [folder / str(size) / "accuracy.csv" for size in sizes]
    latency = [folder / str(size) / f"latency-{DEVICE}.csv" for size in sizes]
    script("resolve_budget")(
        requested=budget, rows=rows, space=config.space, sample=config.sampling, tables=latency, predictors=[],
        budget=search / "budget.json",
    )  # fmt: skip
    first, twist = search / "round-1", search / "twist"
    predictors = {
        "accuracy": [folder / str(size) / "predictors" / "accuracy.json" for size in sizes],
        "latency": [folder / str(size) / "predictors" / f"latency-{DEVICE}.json" for size in sizes],
    }
    script("search_architectures")(
        space=config.space, search=config.search, caps=config.search.caps, target=config.predictors.accuracy_target,
        budget=search / "budget.json", **predictors, earlier=[], refit=[], acquired=[],
        measured_accuracy=accuracy, measured_latency=latency, candidates=first / "candidates.csv",
        trace=first / "trace.csv", frontier=first / "frontier.csv", certificate=first / "certificate.json",
    )  # fmt: skip
    verify(first, config, truth)
    goal = {"space": config.space, "objective": config.search.objective, "alike_layers": False}
    script("twist_winner")(
        **goal, verification=config.verification, caps=config.search.caps, twists=2,
        budget=search / "budget.json", earlier=[first / "candidates.csv"],
        first_accuracy=predictors["accuracy"], first_latency=predictors["latency"],
        exported=[first / "exported.csv"], latencies=[first / "timed.json"], **predictors,
        candidates=twist / "candidates.csv", moves=twist / "moves.json",
    )  # fmt: skip
    verify(twist, config, truth)
    batches = [first, twist]
    script("rank_candidates")(
        **goal, **predictors, verification=config.verification, caps=config.search.caps, device=DEVICE,
        budget=search / "budget.json", sampled=latency,
        candidates=[batch / "candidates.csv" for batch in batches],
        exported=[batch / "exported.csv" for batch in batches],
        latencies=[batch / "timed.json" for batch in batches],
        table=search / "candidates.csv", ranking=search / "ranking.json",
    )  # fmt: skip
    confirm_latency(search, deploy / "latency.json", config, truth)
    script("deploy_winner")(
        ranking=search / "ranking.json", latencies=deploy / "latency.json",
        models=[batch / "exported" for batch in batches], winner=search / "winner.json", model=deploy / "model.tflite",
    )  # fmt: skip
    _deploy(search, deploy, config, truth)


def _test_split(folder: Path, images: int) -> dict[str, Any]:
    """Return what names the classes of the test images; those of the last class are few."""
    path = folder / "test-labels.npy"
    if not path.exists():
        np.save(path, np.minimum(np.arange(images) % 30, 9))
        seal_array(path)
    return {"dataset": "fashion-mnist", "classes": 10, "labels": path}


def _deploy(search: Path, deploy: Path, config: Config, truth: Truth) -> None:
    winner = Arch.parse(read_json(search / "winner.json")["winner"]["arch"])
    write_json(
        deploy / "accuracy.json",
        {
            "made_by": {}, "arch": winner.text, "images": truth.images,
            "float_top1_percent": float(100 * truth.correct(winner, "test").mean()),
            "int8_top1_percent": float(100 * truth.correct(winner, "test", 0.01).mean()),
            "float_correct": packed(truth.correct(winner, "test")),
            "int8_correct": packed(truth.correct(winner, "test", 0.01)),
        },
    )  # fmt: skip
    script("judge_model")(
        **_test_split(deploy.parents[2], truth.images),
        max_drop_percent=config.validation.max_drop_percent, budget=search / "budget.json",
        winner=search / "winner.json", accuracy=deploy / "accuracy.json", latency=deploy / "latency.json",
        validation=deploy / "validation.json",
    )  # fmt: skip
