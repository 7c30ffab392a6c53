"""Obtain the data set: its files, or the list of a folder's images."""

from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_table
from foxnas.images.fashion_mnist import fetch_fashion_mnist
from foxnas.images.folders import list_images
from foxnas.images.labelled import copy_arrays, fetch_torchvision


def main(*, made_by: cli.MadeBy, dataset: str, folder: str | None, files: list[Path]) -> None:
    """Copy, download, unpack or list the data set, into the folder of its files."""
    target = files[0].parent
    given = Path(folder) if folder else None
    if dataset == "fashion-mnist":
        fetch_fashion_mnist(given, target)
    elif dataset == "folder" and given:
        listed = list_images(given)
        write_table(target / "images.csv", listed.images, made_by | {"classes": listed.classes})
    elif dataset == "arrays" and given:
        copy_arrays(given, target, made_by)
    else:
        fetch_torchvision(dataset, given, target, made_by)


if __name__ == "__main__":
    cli.run(main)
