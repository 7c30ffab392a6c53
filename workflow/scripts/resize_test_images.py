"""Resize the test images to one image size."""

from pathlib import Path

import numpy as np

from foxnas import command
from foxnas.data import save_resized


def main(*, size: int, images: Path, resized: Path) -> None:
    """Write the test images at one size."""
    save_resized(np.load(images), size, resized)


if __name__ == "__main__":
    command.run(main)
