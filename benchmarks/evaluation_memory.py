"""The memory of a process that evaluates the largest subnets at 320 px together, for few images and for many.

python -m benchmarks.evaluation_memory --images 640
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory import PeakMemory, private_mb
from foxnas.accuracy.evaluation import evaluate_together
from foxnas.accuracy.memory import TOGETHER
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize
from foxnas.images.pixels import to_input
from foxnas.space.config import read_space
from foxnas.supernet.model import Supernet

#: Images that are run through the network; the others are read as a batch would be, which takes less time.
EVALUATED = 64


def write_noise(path: Path, images: int, size: int) -> None:
    """Write an array of images, a block at a time."""
    path.parent.mkdir(exist_ok=True)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(images, size, size, 3))
    for start in range(0, images, 64):
        array[start : start + 64] = np.random.default_rng(start).integers(0, 256, (size, size, 3), dtype=np.uint8)


def main() -> None:
    """Print the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="cpu")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--recalibration-images", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space, batch = read_space(options.space), options.batch_size
    supernet = Supernet(space)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / str(options.size)
        write_noise(folder / "fit-images.npy", options.images, options.size)
        write_noise(folder / "calibration-images.npy", options.recalibration_images, options.size)
        with PeakMemory(private_mb, 0.02) as peak:
            calibration = ArraysBySize([folder / "calibration-images.npy"])
            pixels = ArraysBySize([folder / "fit-images.npy"])
            preparation = Preparation(supernet, calibration, options.recalibration_images, batch)
            one = preparation.subnet(space.largest(options.size))
            subnets = [one, *(copy.deepcopy(one) for _ in range(TOGETHER - 1))]
            some, rests = pixels.at(options.size)[:EVALUATED], [[subnet.rest] for subnet in subnets]
            evaluate_together(subnets[0].beginning, rests, some, np.zeros(EVALUATED, np.int64), batch)
            for start in range(EVALUATED, options.images, batch):
                to_input(pixels.at(options.size)[start : start + batch])
    print(f"{options.images} images: {peak.mb:.0f} MB")


if __name__ == "__main__":
    main()
