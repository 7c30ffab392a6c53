"""What int8 costs with the converter's biases and with corrected ones: random subnets of a finished run.

Each is exported both ways from the same calibration images, and both files see the same verify images with the runtime
that serves them.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from foxnas.accuracy.evaluation import Preparation, evaluate
from foxnas.config.whole import read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.int8.export import export_int8
from foxnas.int8.serving import top1_percent
from foxnas.supernet.checkpoint import load_supernet


def main() -> None:
    """Print one line per subnet, and the distribution of both losses."""
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
    chosen = config.accuracy
    preparation = Preparation(supernet, calibration, chosen.recalibration_images, chosen.batch_size)
    archs = [
        arch
        for size in space.image_sizes
        for arch in islice(space.sample(size, np.random.default_rng([11, size])), options.subnets)
    ]
    losses = []
    for arch in follow(archs, len(archs), "subnets"):
        subnet, images = preparation.subnet(arch), verify.at(arch.image_size)
        real = calibration.at(arch.image_size)[: config.export.calibration_images]
        in_float = evaluate(subnet, images, labels, chosen.batch_size).top1_percent
        found = [
            top1_percent(export_int8(subnet, real, corrected=corrected), images, labels, 1, xnnpack=False)
            for corrected in (False, True)
        ]
        losses.append([in_float - int8 for int8 in found])
        print(f"{arch.text}: float {in_float:.2f}, int8 {found[0]:.2f}, corrected {found[1]:.2f}", flush=True)
    for name, of_kind in zip(("as converted", "corrected"), np.transpose(losses), strict=True):
        low, middle, high = np.quantile(of_kind, [0, 0.5, 1])
        print(
            f"{name}: int8 loses {of_kind.mean():.2f} points on average, {middle:.2f} (median), {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    main()
