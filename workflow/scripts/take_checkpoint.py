"""Take a given checkpoint as the supernet, once it has been found to be of this space."""

from pathlib import Path

from foxnas import cli
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import take_checkpoint


def main(*, made_by: cli.MadeBy, space: SearchSpace, checkpoint: Path, supernet: Path) -> None:
    """Copy the checkpoint, or convert it from another format."""
    take_checkpoint(space, checkpoint, supernet, made_by)


if __name__ == "__main__":
    cli.run(main)
