"""Prepare the test images at one image size."""

from pathlib import Path

from foxnas import cli
from foxnas.images.config import ViewConfig
from foxnas.images.prepared import check_disk, prepare_images
from foxnas.images.views import View


def main(
    *, made_by: cli.MadeBy, view: ViewConfig, size: int, images: Path, whole_mb: int, threads: int, resized: Path
) -> None:
    """Write the test images at one size."""
    check_disk(resized.parent.parent, whole_mb)
    folder = Path(view.folder) if view.folder else None
    prepare_images(images, folder, View(size, view.channels, view.centre_share), resized, threads, made_by=made_by)


if __name__ == "__main__":
    cli.run(main)
