"""The `torch` device kind through the runner: two sessions over the same probes, and a fit to what they say."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_settings import Latency, Scale, space_of
from foxnas.device.float_probe import write_float
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol, TorchOptions
from foxnas.device.session import measured_rows
from foxnas.device.transport import Device
from foxnas.predictor.solution import cross_validated, shrunk, shrunk_coefficients
from foxnas.space.arch import Arch
from foxnas.space.terms import formula

FOLDS = 10


def fit_layers(space_name: str, size: int, archs: list[Arch], latency_ms: np.ndarray) -> dict[str, Any]:
    """Return how well the form `layers-shrunk` explains latencies, as `foxnas.predictor.fit` defines both R2.

    Shrunk, since 60 probes of the `cpu` space, whose `layers` have 65 terms, would leave nothing to judge by.
    """
    design = formula("layers", space_of(space_name, size)).matrix(archs)
    solution = shrunk(design, latency_ms)
    held_out = cross_validated(shrunk_coefficients, design, latency_ms, FOLDS, np.random.default_rng(0))
    rows, total = len(latency_ms), float(np.sum((latency_ms - latency_ms.mean()) ** 2))
    freedom = rows - solution.effective_parameters
    left = float(np.sum((latency_ms - solution.fitted) ** 2))
    return {
        "adjusted_r2": round(1 - (left / freedom) / (total / (rows - 1)), 4),
        "held_out_r2": round(1 - float(np.sum((latency_ms - held_out) ** 2)) / total, 4),
        "effective_parameters": round(solution.effective_parameters, 1),
        "figure_7": {
            "columns": ["measured_ms", "fitted_ms", "held_out_ms"],
            "rows": np.column_stack([latency_ms, solution.fitted, held_out]).round(4).tolist(),
        },
    }


def measure(
    space_name: str, setting: Latency, protocol: MeasurementProtocol, lock: str, folder: Path
) -> dict[str, Any]:
    """Return how well a second session repeats the first, what the device said meanwhile, and the fit to the first."""
    space, rng = space_of(space_name, setting.size), np.random.default_rng(0)
    device = Device(
        "gpu", LocalTransport(), backend="torch", lock=lock, busy_s=60, checked=find_spec("pydantic") is not None
    )
    archs = list(islice(space.sample(setting.size, rng), setting.probes[space_name]))
    probes = [(arch.id, arch.text, partial(write_float, space, arch)) for arch in archs]
    reference = write_float(space, space.largest(setting.size))

    def session(name: str, seed: int, count: int | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        journal = folder / f"{space_name}-{name}.jsonl"
        return measured_rows(device, protocol, probes[:count], reference, journal, np.random.default_rng(seed))

    (rows, info), (again, info_again) = session("first", 0), session("second", 1, setting.repeated)
    failed = [
        f"{space_name}: probe {row['id']} is not usable: {row['reason']}"
        for row in rows + again
        if row["latency_ms"] is None
    ]
    if failed:
        return {"failed": failed}
    latency_ms = np.array([row["latency_ms"] for row in rows])
    ratio = np.array([row["latency_ms"] for row in again]) / latency_ms[: setting.repeated]
    off = np.abs(ratio - 1)
    return {
        "probes": len(rows),
        "usable": sum(row["usable"] for row in rows),
        "executor": rows[0]["executor"],
        "latency_ms": {"smallest": round(float(latency_ms.min()), 4), "largest": round(float(latency_ms.max()), 4)},
        "repeatability": {
            "probes": len(again),
            "median_ratio": round(float(np.median(ratio)), 5),
            "median_difference_percent": round(100 * float(np.median(off)), 3),
            "p90_difference_percent": round(100 * float(np.quantile(off, 0.9)), 3),
        },
        "layers": fit_layers(space_name, setting.size, archs, latency_ms),
        "sessions": [
            {
                "accelerator": one["accelerator"],
                "during": one["during"],
                "gpu_before": one["state_before"].get("gpu"),
                "gpu_after": one.get("state_after", {}).get("gpu"),
                "references_ms": [round(value, 4) for value in one["references_ms"]],
            }
            for one in info["sessions"] + info_again["sessions"]
        ],
        "failed": [],
    }


def section(scale: Scale, device: str, folder: Path) -> dict[str, Any]:
    """Return what the runner measured in each space."""
    setting = scale.latency
    protocol = MeasurementProtocol(
        repeats=1, min_runs=setting.min_runs, warm_up_runs=min(5, setting.min_runs), max_attempts=setting.max_attempts,
        torch=TorchOptions(batch=setting.batch),
    )  # fmt: skip
    lock = "machine" if device == "cuda" else "benchmark"  # a test must not wait for who measures here
    found = {name: measure(name, setting, protocol, lock, folder) for name in setting.probes}
    failed = [message for one in found.values() for message in one.pop("failed")]
    wrong = [name for name, one in found.items() if one.get("executor", device) != device]
    failed += [f"{name}: was not timed on {device}" for name in wrong]
    return {"batch": setting.batch, "size": setting.size, "spaces": found, "failed": failed}
