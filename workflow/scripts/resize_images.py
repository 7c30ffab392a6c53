"""Resize the images that fit, verify and calibrate to one image size."""

from pathlib import Path

import numpy as np

from foxnas import command
from foxnas.data import save_resized


def main(
    *,
    calibration: int,
    size: int,
    train: Path,
    fit: Path,
    verify: Path,
    calibration_out: Path,
    fit_out: Path,
    verify_out: Path,
) -> None:
    """Write the three arrays; calibration takes the first `calibration` images of the train split."""
    save_resized(np.load(train, mmap_mode="r")[:calibration], size, calibration_out)
    save_resized(np.load(fit), size, fit_out)
    save_resized(np.load(verify), size, verify_out)


if __name__ == "__main__":
    command.run(main)
