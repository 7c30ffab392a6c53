"""A small finished run for the report: the workflow's own scripts write it.

Only what needs images, a device or TensorFlow is made up: accuracies and latencies are drawn from a known
model of the space, and what those stages write is written here with the same keys.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas import command
from foxnas.arch import Arch
from foxnas.baselines import paired_difference, random_search
from foxnas.config.predictors import FurtherTargetConfig, RivalsConfig
from foxnas.config.whole import Config, read_config
from foxnas.devices.judging import COLUMNS
from foxnas.devices.models import ModelLatency
from foxnas.measured import accuracy_and_latency
from foxnas.ranking import best_under
from foxnas.space import SearchSpace
from foxnas.tables import read_json, read_table, write_json, write_table

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "workflow" / "scripts"
IDENTITY = {
    "system": "Linux", "architecture": "x86_64", "board": None, "cpu": "A processor of the test's", "cores": 2,
    "machine": "0123456789ab", "backend": "tflite", "runtime": "ai-edge-litert", "runtime_version": "2.3.0",
}  # fmt: skip
DEVICE = "local"
_STAGES = ("accuracy", f"latency-{DEVICE}")


@dataclass(frozen=True)
class ReportRun:
    """Where the run is, and the arguments of `write_page`."""

    results: Path
    space: str
    sizes: list[int]
    devices: list[str]
    budgets: list[str]

    def arguments(self) -> tuple[Path, str, list[int], list[str], list[str], list[str]]:
        """Return the arguments of `write_page` but the last."""
        return self.results, self.space, self.sizes, self.devices, self.budgets, ["round-1", "twist"]


class Truth:
    """What the made-up machine and the made-up network do with a subnet."""

    def __init__(self, space: SearchSpace, images: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.images, self.sizes = images, space.image_sizes
        self.difficulty = {split: self.rng.normal(0, 1, images) for split in ("fit", "verify", "test")}

    def ability(self, arch: Arch) -> float:
        """How good it is, in standard deviations of an image's difficulty."""
        ability = 0.75 + 0.35 * np.log2(arch.image_size / self.sizes[0] + 1)
        for place, unit in enumerate(arch.units, 1):
            weight = 0.05 / place**0.3
            ability += weight * (len(unit) - 2) ** 0.7
            for i, (k, e) in enumerate(unit):
                ability += weight * (0.5 if i else 1.2) * (0.25 * np.log(e) + {3: 0, 5: 0.22, 7: 0.3}[k])
        return float(ability)

    def correct(self, arch: Arch, split: str, loss: float = 0.0) -> np.ndarray:
        """Which images of a split it gets right."""
        own = np.random.default_rng([*arch.id.encode(), len(split)]).normal(0, 0.12, self.images)
        return self.ability(arch) - loss + own > self.difficulty[split]

    def latency_ms(self, arch: Arch) -> float:
        """Its latency."""
        total, area = 0.02, (arch.image_size / 100) ** 2
        for place, unit in enumerate(arch.units, 1):
            for i, (k, e) in enumerate(unit):
                total += area * e * (0.1 + 0.006 * k * k) * (1.6 if i == 0 else 1.0) / place**0.5
        return float(total)


def script(name: str) -> Callable[..., None]:
    """Return the function behind a script of the workflow."""
    spec = importlib.util.spec_from_file_location(f"foxnas_script_{name}", SCRIPTS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., None] = module.main
    return main


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
    space = config.space.build()
    truth = Truth(space, images, seed)
    folder = results / space.name
    for size in sizes:
        _measure(folder / str(size), config, space, truth, size, subnets)
    for budget in budgets:
        _search(folder, config, truth, list(sizes), budget, subnets)
    _compare(folder, config, truth, list(sizes), list(budgets), subnets)
    return ReportRun(results, space.name, list(sizes), [DEVICE], list(budgets))


def _config(sizes: Sequence[int], units: int, target: str, form: str) -> Config:
    """The demo's configuration, smaller."""
    value = read_config(ROOT / "config" / "config.yaml").model_dump()
    value["space"] |= {"name": "tiny", "image_sizes": list(sizes), "units": value["space"]["units"][:units]}
    value["predictors"] |= {"accuracy_target": target, "accuracy_form": form}
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
        }
    )
    settings = {"space": config.space, "accuracy": config.accuracy, "sample": config.sampling}
    shards = folder / "shards"
    write_table(
        shards / "accuracy" / "0.csv", accuracy, command.made_by(str(SCRIPTS / "evaluate_subnets.py"), settings)
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
    settings = {"space": config.space, "device": config.devices[0], "sample": config.sampling}
    made_by = command.made_by(str(SCRIPTS / "time_subnets.py"), settings, identity=IDENTITY)
    write_table(shards / f"latency-{DEVICE}" / "0.csv", latency, made_by)
    for stage in ("accuracy", f"latency-{DEVICE}"):
        script("gather_shards")(shards=[shards / stage / "0.csv"], rows=subnets, table=folder / f"{stage}.csv")
    common = {"space": config.space, "folds": config.predictors.folds, "seed": 0, "image_size": size}
    script("fit_accuracy")(
        **common, target=config.predictors.accuracy_target, form=config.predictors.accuracy_form,
        table=folder / "accuracy.csv", outcomes=[shards / "accuracy" / "0.npz"],
        predictor=folder / "predictors" / "accuracy.json", fits=folder / "predictors" / "accuracy-fits.json",
    )  # fmt: skip
    script("fit_latency")(
        **common, form=config.predictors.latency_form, table=folder / f"latency-{DEVICE}.csv",
        predictor=folder / "predictors" / f"latency-{DEVICE}.json",
        fits=folder / "predictors" / f"latency-{DEVICE}-fits.json",
    )  # fmt: skip


def add_predictors(run: ReportRun, config: Config | None = None) -> dict[str, Any]:
    """Add fits of a further target and comparisons with other predictors; return what `write_page` is to be told."""
    folder = run.results / run.space
    config = config or _config(run.sizes, 3, "top1", "paper")
    rivals = RivalsConfig(training_subnets=[30, 60, 90], repeats=1, network_steps=3)
    tables = {stage: [folder / str(size) / f"{stage}.csv" for size in run.sizes] for stage in _STAGES}
    for target, stage in zip(("top1", "latency"), _STAGES, strict=True):
        script("compare_predictors")(
            space=config.space, target=target, rivals=rivals, seed=0, tables=tables[stage],
            scores=folder / "predictors" / f"{stage}-scores.csv",
        )  # fmt: skip
    script("fit_target")(
        space=config.space, folds=5, seed=0, tables=tables[_STAGES[1]],
        target=FurtherTargetConfig(name="p90", column="p90_ms", unit="ms", form="layers-shrunk", table=None),
        fits=[folder / str(size) / "predictors" / f"p90-{DEVICE}-fits.json" for size in run.sizes],
    )  # fmt: skip
    return {"further_targets": ["p90"], "scores": True}


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
        budget=search / "budget.json", **predictors, earlier=[], refit=[],
        measured_accuracy=accuracy, measured_latency=latency, candidates=first / "candidates.csv",
        trace=first / "trace.csv", frontier=first / "frontier.csv", certificate=first / "certificate.json",
    )  # fmt: skip
    script("compare_strategies")(
        space=config.space, reserve_percent=min(config.search.reserves_percent), alike_layers=False, seeds=2, calls=600,
        budget=search / "budget.json", **predictors, trace=search / "strategies" / "trace.csv",
        found=search / "strategies" / "found.csv", subnets=search / "strategies" / "subnets.csv",
    )  # fmt: skip
    _measure_found(search / "strategies", truth)
    _verify(first, config, truth)
    script("twist_winner")(
        space=config.space, verification=config.verification, caps=config.search.caps, twists=2,
        budget=search / "budget.json", earlier=[first / "candidates.csv"], certificate=first / "certificate.json",
        exported=[first / "exported.csv"], latencies=[first / "timed.json"], **predictors,
        candidates=twist / "candidates.csv", moves=twist / "moves.json",
    )  # fmt: skip
    _verify(twist, config, truth)
    batches = [first, twist]
    script("deploy_winner")(
        verification=config.verification, caps=config.search.caps, budget=search / "budget.json",
        certificate=first / "certificate.json", candidates=[batch / "candidates.csv" for batch in batches],
        exported=[batch / "exported.csv" for batch in batches],
        latencies=[batch / "timed.json" for batch in batches],
        models=[batch / "exported" for batch in batches], table=search / "candidates.csv",
        winner=search / "winner.json", model=deploy / "model.tflite",
    )  # fmt: skip
    _deploy(search, deploy, config, truth)


def _measure_found(folder: Path, truth: Truth) -> None:
    subnets = read_table(folder / "subnets.csv")
    archs = [Arch.parse(text) for text in subnets["arch"]]
    top1 = [100 * truth.correct(arch, "fit").mean() for arch in archs]
    write_table(folder / "accuracy.csv", subnets.assign(top1_percent=top1, correct_probability_percent=top1), {})
    write_table(folder / "latency.csv", subnets.assign(latency_ms=[truth.latency_ms(a) for a in archs]), {})


def _verify(batch: Path, config: Config, truth: Truth) -> None:
    chosen = read_table(batch / "candidates.csv")
    archs = [Arch.parse(text) for text in chosen["arch"]]
    exported = chosen[["id", "arch", "source"]].assign(
        float_top1_percent=[100 * truth.correct(arch, "verify").mean() for arch in archs],
        int8_top1_percent=[100 * truth.correct(arch, "verify", 0.01).mean() for arch in archs],
        model_bytes=[60_000 + len(arch.text) for arch in archs],
    )
    settings: dict[str, Any] = {"space": config.space, "accuracy": config.accuracy, "export": config.export}
    write_table(batch / "exported.csv", exported, command.made_by(str(SCRIPTS / "export_candidates.py"), settings))
    (batch / "exported").mkdir()
    for arch in archs:
        (batch / "exported" / f"{arch.id}.tflite").write_bytes(arch.text.encode())
    _time(batch / "timed.json", config, truth, {arch.id: arch for arch in archs})


def _deploy(search: Path, deploy: Path, config: Config, truth: Truth) -> None:
    winner = Arch.parse(read_json(search / "winner.json")["winner"]["arch"])
    write_json(
        deploy / "accuracy.json",
        {
            "made_by": {}, "arch": winner.text, "images": truth.images,
            "float_top1_percent": float(100 * truth.correct(winner, "test").mean()),
            "int8_top1_percent": float(100 * truth.correct(winner, "test", 0.01).mean()),
        },
    )  # fmt: skip
    _time(deploy / "latency.json", config, truth, {"model": winner})
    script("judge_model")(
        max_drop_percent=config.validation.max_drop_percent, budget=search / "budget.json",
        winner=search / "winner.json", accuracy=deploy / "accuracy.json", latency=deploy / "latency.json",
        validation=deploy / "validation.json",
    )  # fmt: skip


def _time(path: Path, config: Config, truth: Truth, archs: dict[str, Arch]) -> None:
    described = {}
    for name, arch in archs.items():
        sessions = truth.latency_ms(arch) * truth.rng.lognormal(0, 0.004, 5)
        one = ModelLatency(tuple(sessions.tolist()), 2, 40.0)
        described[name] = {**asdict(one), "median_ms": one.median_ms, "upper_ms": one.upper_ms}
    made_by = command.made_by(str(SCRIPTS / "time_models.py"), {"device": config.devices[0], "sessions": 5})
    write_json(path, {"made_by": made_by, "models": described, "device": DEVICE, "identity": IDENTITY, "sessions": []})


def _compare(folder: Path, config: Config, truth: Truth, sizes: list[int], budgets: list[str], subnets: int) -> None:
    everything = accuracy_and_latency(
        [folder / str(size) / "accuracy.csv" for size in sizes],
        [folder / str(size) / f"latency-{DEVICE}.csv" for size in sizes],
        "top1_percent",
    )
    search = folder / "search" / DEVICE
    limits = [read_json(search / budget / "budget.json") for budget in budgets]
    limits_ms = [limit["budget_ms"] for limit in limits]
    ours = [read_json(search / budget / "winner.json")["winner"]["arch"] for budget in budgets]
    rng = np.random.default_rng(0)
    measurements = len(everything) + 8
    drawn = [random_search(everything, "top1_percent", limits_ms, measurements, rng) for _ in range(10)]
    anyway = [str(best_under(everything, "top1_percent", limit, 1)["arch"].iloc[0]) for limit in limits_ms]

    def right(text: str) -> np.ndarray:
        return truth.correct(Arch.parse(text), "test")

    rows = [
        {
            "budget": limit["name"],
            "budget_ms": limit["budget_ms"],
            "ours": {"arch": ours[i], "top1_percent": float(100 * right(ours[i]).mean())},
            "best_measured": {
                "arch": anyway[i],
                "top1_percent": float(100 * right(anyway[i]).mean()),
                "lead": paired_difference(right(ours[i]), right(anyway[i])[None]).to_json(),
            },
            "random_search": {
                "archs": [searched[i] for searched in drawn],
                "top1_percent": [float(100 * right(searched[i]).mean()) for searched in drawn],
                "lead": paired_difference(
                    right(ours[i]), np.stack([right(searched[i]) for searched in drawn])
                ).to_json(),
            },
        }
        for i, limit in enumerate(limits)
    ]
    mine = np.concatenate([right(text) for text in ours])
    average = {
        "best_measured": paired_difference(mine, np.concatenate([right(text) for text in anyway])[None]).to_json(),
        "random_search": paired_difference(
            mine, np.stack([np.concatenate([right(text) for text in searched]) for searched in drawn])
        ).to_json(),
    }
    settings: dict[str, Any] = {"space": config.space, "baselines": config.baselines, "subnets": subnets}
    write_json(
        folder / "baselines" / f"{DEVICE}.json",
        {
            "made_by": command.made_by(str(SCRIPTS / "compare_baselines.py"), settings),
            "test_images": truth.images,
            "measurements": measurements,
            "pool": len(everything),
            "random_searches": 10,
            "budgets": rows,
            "average": average,
        },
    )
