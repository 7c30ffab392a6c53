"""Swap the fit images with as many of the train split, for one fold."""

from pathlib import Path

from foxnas import cli
from foxnas.images.config import ViewConfig
from foxnas.images.folds import swap_fold


def main(
    *,
    made_by: cli.MadeBy,
    view: ViewConfig,
    fold: int,
    train_images: Path,
    train_labels: Path,
    fit_images: Path,
    fit_labels: Path,
    threads: int,
    train_images_out: Path,
    train_labels_out: Path,
    fit_images_out: Path,
    fit_labels_out: Path,
) -> None:
    """Write images (or the list of their files) and labels that this fold trains and evaluates with."""
    swap_fold(
        fold, view,
        (train_images, train_labels), (fit_images, fit_labels),
        (train_images_out, train_labels_out), (fit_images_out, fit_labels_out),
        threads,
    )  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
