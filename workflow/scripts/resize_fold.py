"""Prepare the images that one fold evaluates and calibrates with, at one image size."""

from pathlib import Path

from foxnas import cli
from foxnas.images.config import ViewConfig
from foxnas.images.prepared import check_disk, prepare_images
from foxnas.images.views import View


def main(
    *,
    made_by: cli.MadeBy,
    calibration: int,
    view: ViewConfig,
    size: int,
    train: Path,
    fit: Path,
    whole_mb: int,
    threads: int,
    calibration_out: Path,
    fit_out: Path,
) -> None:
    """Write both arrays; calibration takes the first images of the fold's train split that can be read."""
    check_disk(fit_out.parent.parent, whole_mb)
    folder = Path(view.folder) if view.folder else None
    seen = View(size, view.channels, view.centre_share)
    prepare_images(train, folder, seen, calibration_out, threads, calibration, view.corrupt_images == "skip", made_by)
    prepare_images(fit, folder, seen, fit_out, threads, made_by=made_by)


if __name__ == "__main__":
    cli.run(main)
