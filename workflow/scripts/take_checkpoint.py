"""Check that a given checkpoint is of this space, and take it as the supernet."""

import shutil
from pathlib import Path

from foxnas import command
from foxnas.config.space import SpaceConfig
from foxnas.supernet.checkpoint import load_supernet
from foxnas.tables import replacing


def main(*, space: SpaceConfig, checkpoint: Path, supernet: Path) -> None:
    """Copy the checkpoint once it has been loaded into a supernet of the space."""
    load_supernet(space.build(), checkpoint)
    with replacing(supernet) as temporary:
        shutil.copyfile(checkpoint, temporary)


if __name__ == "__main__":
    command.run(main)
