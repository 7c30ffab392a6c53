"""What a small run would have measured: accuracies and latencies drawn from a known model of the space.

Files are written with the keys that the stages which need images, a device or TensorFlow write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.config.whole import Config
from foxnas.device.whole_models import ModelLatency
from foxnas.files.seal import UNSEALED, sealed
from foxnas.files.tables import read_json, read_table, write_json, write_table
from foxnas.space.arch import Arch
from foxnas.space.pooling import accuracy_and_latency
from foxnas.space.space import SearchSpace
from foxnas.verdict.baselines import compare, random_search
from foxnas.verdict.confirmation import Trial, confirm
from foxnas.verdict.decision import decide
from foxnas.verdict.ranking import best_under
from tests.support.scripts import made_by

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = {
    "system": "Linux", "architecture": "x86_64", "board": None, "cpu": "A processor of the test's", "cores": 2,
    "machine": "0123456789ab", "backend": "tflite", "runtime": "ai-edge-litert", "runtime_version": "2.3.0",
}  # fmt: skip
DEVICE = "local"


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


def measure_found(folder: Path, truth: Truth) -> None:
    """Write what the strategies' subnets are worth, as `evaluate_found` and `time_found` would."""
    subnets = read_table(folder / "subnets.csv")
    archs = [Arch.parse(text) for text in subnets["arch"]]
    top1 = [100 * truth.correct(arch, "fit").mean() for arch in archs]
    write_table(folder / "accuracy.csv", subnets.assign(top1_percent=top1, correct_probability_percent=top1), {})
    write_table(folder / "latency.csv", subnets.assign(latency_ms=[truth.latency_ms(a) for a in archs]), {})


def verify(batch: Path, config: Config, truth: Truth) -> None:
    """Write the candidates of a batch, exported and timed."""
    chosen = read_table(batch / "candidates.csv")
    archs = [Arch.parse(text) for text in chosen["arch"]]
    exported = chosen[["id", "arch", "source"]].assign(
        float_top1_percent=[100 * truth.correct(arch, "verify").mean() for arch in archs],
        int8_top1_percent=[100 * truth.correct(arch, "verify", 0.01).mean() for arch in archs],
        int8_probability_percent=[50 + int(arch.id[:2], 16) / 16 for arch in archs],  # in an order of its own
        model_bytes=[60_000 + len(arch.text) for arch in archs],
    )
    settings: dict[str, Any] = {"space": config.space, "accuracy": config.accuracy, "export": config.export}
    write_table(batch / "exported.csv", exported, made_by("export_candidates", **settings))
    (batch / "exported").mkdir()
    for arch in archs:
        (batch / "exported" / f"{arch.id}.tflite").write_bytes(sealed(f"{arch.text} {json.dumps(UNSEALED)}".encode()))
    time_models(batch / "timed.json", config, truth, {arch.id: arch for arch in archs})


def confirm_latency(search: Path, path: Path, config: Config, truth: Truth) -> None:
    """Write new sessions of the ranked candidates, up to the first within the budget, as `confirm_latency` would."""
    order = read_json(search / "ranking.json")

    def try_one(row: Mapping[str, Any]) -> Trial:
        sessions = truth.latency_ms(Arch.parse(row["arch"])) * truth.rng.lognormal(0, 0.004, 5)
        latency = ModelLatency(tuple(sessions.tolist()), (0.2,) * 5, fallback_operators=2, peak_memory_mb=40.0)
        decision = decide(latency.session_medians_ms, order["budget_ms"], (0.2,) * 5, 0.2, 5)
        named = {name: row[name] for name in ("id", "arch", "source", "batch")}
        return {**named, "latency": latency.to_json(), "decision": asdict(decision), "sessions": []}

    made = made_by("confirm_latency", device=config.devices[0], sessions=5)
    known = {"device": DEVICE, "identity": IDENTITY, "baseline_ms": 0.2, "verified": len(order["ranked"])}
    write_json(path, {"made_by": made, **known, "tried": confirm(order["ranked"], try_one)})


def time_models(path: Path, config: Config, truth: Truth, archs: dict[str, Arch]) -> None:
    """Write five sessions of every architecture, by name, as `time_models` would."""
    described = {}
    for name, arch in archs.items():
        sessions = truth.latency_ms(arch) * truth.rng.lognormal(0, 0.004, 5)
        described[name] = ModelLatency(
            tuple(sessions.tolist()), (0.2,) * 5, fallback_operators=2, peak_memory_mb=40.0
        ).to_json()
    made = made_by("time_models", device=config.devices[0], sessions=5)
    known = {"device": DEVICE, "identity": IDENTITY, "baseline_ms": 0.2, "sessions": []}
    write_json(path, {"made_by": made, "models": described, **known})


def compare_baselines(
    folder: Path, config: Config, truth: Truth, sizes: list[int], budgets: list[str], subnets: int
) -> None:
    """Write the baselines of all budgets, as `compare_baselines` would."""
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

    texts = {*ours, *anyway, *(text for searched in drawn for text in searched)}
    rows, average = compare(ours, anyway, drawn, {text: truth.correct(Arch.parse(text), "test") for text in texts})
    settings: dict[str, Any] = {"space": config.space, "baselines": config.baselines, "subnets": subnets}
    write_json(
        folder / "baselines" / f"{DEVICE}.json",
        {
            "made_by": made_by("compare_baselines", **settings),
            "test_images": truth.images,
            "measurements": measurements,
            "pool": len(everything),
            "random_searches": 10,
            "budgets": [
                {"budget": limit["name"], "budget_ms": limit["budget_ms"], **row}
                for limit, row in zip(limits, rows, strict=True)
            ],
            "average": average,
        },
    )
