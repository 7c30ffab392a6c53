"""Obtain the data set's files."""

from pathlib import Path

from foxnas import command
from foxnas.data import fetch_fashion_mnist


def main(*, folder: str | None, target: Path) -> None:
    """Copy, download or unpack the data set into a folder."""
    fetch_fashion_mnist(Path(folder) if folder else None, target)


if __name__ == "__main__":
    command.run(main)
