"""Training, evaluation and the `torch` device kind on a GPU: prints one JSON.

    python -m benchmarks.gpu --out gpu.json                       on a machine with a GPU
    python -m benchmarks.gpu --device cpu --small                 everything but CUDA's own, in a minute

Needs torch, numpy, safetensors, Pillow and a checkout, no network and no privileges. So of the library it reaches, in
this process, in those it starts and on the device's end of the runner, only what needs no more than these: `accuracy`,
`device` without `ssh`, `provisioning` and `config`, `errors`, `files`, `images` without `config`, `predictor.solution`,
`runner`, `settings`, `space` without `config`, and `supernet` without `config`. PyPI's `ofa` is compared with where it
imports.

1. Trainings of `mini` and of `cpu` at 224 px in every precision: images a second, whether the loss falls, the peak of
   memory, whether one that was killed continues bit for bit, and whether torchrun with one process does the same.
2. Evaluation: the CPU's statistics, classes and probabilities, and throughput over the bare forward pass.
3. Comparison: the throughput of our evaluation over that of PyPI's `ofa`.
4. The runner: repeatability of two sessions, clock and temperature, and the fit of `layers` to 60 probes of each space.

What is wrong is listed under `failed`, and the status is then 1; every section runs, whatever happened before it.
A process needs some ten seconds before its first step, for PyTorch's modules and cuDNN's kernels alone.
Targets that were missed are listed under `targets` and change no status.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

#: The most that all of it may take on a GPU.
LIMIT_S = 900.0
SECTIONS = ("training", "evaluation", "comparison", "latency")


def machine(device: str) -> dict[str, Any]:
    """Return what the figures were measured with."""
    import torch

    from foxnas.runner.nvidia import NvidiaGpu

    said: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        said |= {
            "gpu": properties.name,
            "memory_mb": properties.total_memory // 2**20,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "state": NvidiaGpu(f"GPU-{properties.uuid}").state(),
        }
    return said


def targets_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the figures should be on a GPU, and whether they are; only those that were measured."""
    wanted: list[tuple[str, float, float, bool]] = []
    if "throughput" in (evaluation := found["evaluation"]):
        speed = evaluation["throughput"]
        wanted.append(("evaluation: throughput over the bare forward pass", speed["ours_over_bare"], 0.85, True))
    if "ours_over_theirs" in (comparison := found["comparison"]):
        wanted.append(
            ("comparison: throughput over ofa's", statistics.median(comparison["ours_over_theirs"]), 2.0, True)
        )
    for name, one in found["latency"].get("spaces", {}).items():
        if "layers" in one:
            difference = one["repeatability"]["median_difference_percent"]
            wanted.append((f"latency, {name}: two sessions differ, percent", difference, 1.0, False))
            wanted.append((f"latency, {name}: held-out R2 of layers", one["layers"]["held_out_r2"], 0.95, True))
    return [
        {
            "what": what,
            "is": value,
            "at_least" if more else "at_most": goal,
            "met": (value >= goal) is more or value == goal,
        }
        for what, value, goal, more in wanted
    ]


def write(found: dict[str, Any], out: Path | None) -> str:
    """Return the figures as JSON, which goes to a file if there is one."""
    text = json.dumps(found, allow_nan=False)
    if out:
        out.write_text(text + "\n")
    return text


def run(device: str, small: bool, out: Path | None = None, wanted: Sequence[str] = SECTIONS) -> dict[str, Any]:
    """Return the figures of all sections; one that raises is listed under `failed`, its traceback on stderr.

    What there is stands in `out` as soon as a section ends.
    """
    from benchmarks import gpu_comparison, gpu_evaluation, gpu_latency, gpu_training
    from benchmarks.gpu_settings import FULL, SMALL

    scale, begin = (SMALL if small else FULL), time.perf_counter()
    found: dict[str, Any] = {"device": device, "small": small, "machine": machine(device), "failed": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sections: dict[str, Callable[[], dict[str, Any]]] = {
            "training": lambda: gpu_training.section(scale, device, folder),
            "evaluation": lambda: gpu_evaluation.section(scale, device),
            "comparison": lambda: gpu_comparison.section(scale, device),
            "latency": lambda: gpu_latency.section(scale, device, folder),
        }
        for name in wanted:
            started = time.perf_counter()
            try:
                found[name] = sections[name]()
                found["failed"] += [f"{name}: {message}" for message in found[name].pop("failed")]
            except Exception as error:
                traceback.print_exc()
                found[name] = {}
                found["failed"].append(f"{name}: {type(error).__name__}: {error}")
            found[name]["section_seconds"] = round(time.perf_counter() - started, 1)
            write(found, out)
    found["seconds"] = round(time.perf_counter() - begin, 1)
    if found["seconds"] > LIMIT_S:
        found["failed"].append(f"took {found['seconds']:.0f} s, more than {LIMIT_S:.0f}")
    if not small and set(wanted) == set(SECTIONS):
        found["targets"] = targets_of(found)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, which say nothing of speed")
    parser.add_argument("--out", type=Path, help="write the JSON here, too, section by section")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="only these")
    parser.add_argument(
        "--write-spaces", action="store_true", help="write spaces.json from the shipped spaces, and end"
    )
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cpu" and not options.train:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for the runner, too, which takes a GPU where it finds one
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if options.write_spaces:
        from benchmarks.gpu_settings import write_spaces

        write_spaces()
        return 0
    if options.train:
        from benchmarks.gpu_training import Job, train

        jobs = json.loads(options.train.read_text())
        train([Job(**{**job, "epochs": tuple(job["epochs"])}) for job in jobs])
        return 0
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "PyTorch can use no GPU here: look at nvidia-smi and CUDA_VISIBLE_DEVICES, or add --device cpu --small",
            file=sys.stderr,
        )
        return 1
    found = run(options.device, options.small, options.out, options.sections)
    print(write(found, options.out))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
