"""Decode synthetic JPEG files into a mapped array: images a second, and the memory of the largest process.

python -m benchmarks.decoding --images 2560 --size 320 --processes 1 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.memory import PeakMemory, largest_resident_mb
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.views import View

#: Different files; they are decoded again and again, which a cached disk makes no difference to.
FILES = 60


def write_files(folder: Path) -> list[ImageFile]:
    """Write something like photographs: smooth, with noise, 500 x 375 pixels, about 65 kB."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(FILES):
        smooth = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375))
        noisy = np.asarray(smooth).astype(int) + rng.integers(-12, 12, (375, 500, 3))
        path = folder / f"{number}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        files.append(ImageFile(str(path), path.stat().st_size))
    return files


def main() -> None:
    """Print one line for every number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        written = write_files(Path(scratch))
        files = [written[i % FILES] for i in range(options.images)]
        for processes in options.processes:
            with PeakMemory(largest_resident_mb, 0.1) as peak:
                started = time.perf_counter()
                decode_files(files, View(options.size, 3, 0.875), Path(scratch) / "decoded.npy", processes)
                rate = options.images / (time.perf_counter() - started)
            print(f"{processes} processes: {rate:.0f} images/s, largest process {peak.mb:.0f} MB")


if __name__ == "__main__":
    main()
