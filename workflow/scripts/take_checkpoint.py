"""Take a given checkpoint as the supernet, once it has been found to be of this space."""

from pathlib import Path

from foxnas import cli
from foxnas.images.listing import listed_classes
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import take_checkpoint


def main(
    *, made_by: cli.MadeBy, space: SearchSpace, checkpoint: Path, listing: Path | None = None, supernet: Path
) -> None:
    """Copy the checkpoint, or convert it from another format.

    `listing` is of a folder of image files: it has the classes' names, which must be those that a checkpoint says.
    """
    take_checkpoint(space, checkpoint, supernet, made_by, listed_classes(listing))


if __name__ == "__main__":
    cli.run(main)
