"""What int8 costs by exporter, with corrected biases and without: random subnets of a finished run.

Each subnet is exported four ways from the same calibration images, one after the other: by our own writer and by
TensorFlow's converter, each with corrected biases and without. All files see the same verify images with the runtime
that serves them. A last part compares rules for the range of a value: least and greatest number (ours), a percentile,
the least squared error; ranges are taken of one part of the calibration images and judged on another.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from benchmarks.ranges import RULES, write_with
from foxnas.accuracy.preparation import Preparation
from foxnas.config.whole import read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.images.pixels import to_input
from foxnas.int8.converter import convert_int8
from foxnas.int8.export import export_int8
from foxnas.int8.serving import Int8Model
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.subnet import Subnet


@dataclass
class Found:
    """One number per subnet, of one kind of file."""

    sqnr_db: list[float] = field(default_factory=list)
    lost_points: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Print the distributions of both parts, and paired differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--subnets", type=int, default=4, help="for each image size")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    space, data = config.space, options.results / "data"
    calibration, verify = (
        ArraysBySize([data / str(size) / f"{split}-images.npy" for size in space.image_sizes])
        for split in ("calibration", "verify")
    )
    labels = load_array(data / "native" / "verify-labels.npy")
    supernet = load_supernet(space, options.results / space.name / "supernet.safetensors")
    chosen, count = config.accuracy, config.export.calibration_images
    preparation = Preparation(supernet, calibration, chosen.recalibration_images, chosen.batch_size)
    archs = [
        arch
        for size in space.image_sizes
        for arch in islice(space.sample(size, np.random.default_rng([11, size])), options.subnets)
    ]
    convert_int8(preparation.subnet(archs[0]), calibration.at(archs[0].image_size)[:2])  # TensorFlow's own start
    exporters: dict[str, Found] = {}
    rules: dict[str, Found] = {}
    for arch in follow(archs, len(archs), "subnets"):
        subnet, images = preparation.subnet(arch), verify.at(arch.image_size)
        real = calibration.at(arch.image_size)
        exact = logits(subnet, images)
        for name, write in ways(subnet, real[:count]):
            judge(exporters.setdefault(name, Found()), write, exact, images, labels)
        held_out = real[count:]
        exact = logits(subnet, held_out)
        for rule in RULES:
            for corrected in (False, True):
                name = f"{rule}, {'corrected' if corrected else 'as rounded'}"
                judge(
                    rules.setdefault(name, Found()), write_with(rule, subnet, real[:count], corrected), exact, held_out
                )
    for found in (exporters, rules):
        tell(found)


def ways(subnet: Subnet, images: np.ndarray) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each kind of file, and what writes it."""
    for corrected in (False, True):
        kind = "corrected" if corrected else "as rounded"
        for exporter in ("tensorflow", "foxnas"):
            yield f"{exporter}, {kind}", partial(export_int8, subnet, images, exporter=exporter, corrected=corrected)


@torch.inference_mode()
def logits(subnet: Subnet, images: np.ndarray) -> np.ndarray:
    """Return the float network's logits."""
    return np.concatenate([subnet(to_input(images[i : i + 500])).numpy() for i in range(0, len(images), 500)])


def judge(
    found: Found,
    write: Callable[[], bytes],
    exact: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray | None = None,
) -> None:
    """Write a file, and note its seconds, its signal-to-quantisation-noise ratio and the points of top-1 that it loses.

    A logit that all images have in common is no signal.
    """
    started = time.perf_counter()
    content = write()
    found.seconds.append(time.perf_counter() - started)
    rounded = Int8Model(content).logits(images)
    signal, noise = ((exact - exact.mean(axis=0)) ** 2).sum(), ((rounded - exact) ** 2).sum()
    found.sqnr_db.append(float(10 * np.log10(signal / noise)))
    truth = exact.argmax(axis=1) if labels is None else labels
    right = [100 * float(np.mean(one.argmax(axis=1) == truth)) for one in (exact, rounded)]
    found.lost_points.append(right[0] - right[1])


def tell(found: dict[str, Found]) -> None:
    """Print each kind of file, and its paired difference to the last kind."""
    *_, last = found.values()
    for name, one in found.items():
        print(
            f"{name:24} {spread(one.sqnr_db, '.1f')} dB, lost {spread(one.lost_points, '.2f')} points, "
            f"{spread(one.seconds, '.2f')} s"
        )
        if one is not last:
            print(f"{'':24} last kind less this: {paired(last.sqnr_db, one.sqnr_db)} dB, "
                  f"{paired(last.lost_points, one.lost_points)} points")  # fmt: skip


def spread(values: list[float], form: str) -> str:
    """Return mean, median and range."""
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"{np.mean(values):{form}} (median {middle:{form}}, {low:{form}} to {high:{form}})"


def paired(first: list[float], second: list[float]) -> str:
    """Return the mean difference with its 95% interval."""
    differences = np.subtract(first, second)
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return f"{differences.mean():+.2f} +- {half:.2f}"


if __name__ == "__main__":
    main()
