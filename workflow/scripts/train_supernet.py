"""Train the supernet."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from foxnas import command
from foxnas.config.space import SpaceConfig
from foxnas.config.supernet import TrainingConfig
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.training import Phase, Recipe, train_supernet


def main(
    *,
    space: SpaceConfig,
    training: TrainingConfig,
    images: Path,
    labels: Path,
    state: Path,
    threads: int,
    supernet: Path,
) -> None:
    """Train by progressive shrinking; `state` is the journal that an interrupted training continues from."""
    torch.set_num_threads(threads)
    settings = training.model_dump()
    settings["phases"] = [Phase(**phase) for phase in settings["phases"]]
    recipe = Recipe(**settings)
    state.parent.mkdir(parents=True, exist_ok=True)
    trained = train_supernet(space.build(), np.load(images, mmap_mode="r"), np.load(labels), recipe, state)
    save_supernet(trained, supernet, command.made_by(__file__, {"space": space, "training": asdict(recipe)}))
    state.unlink(missing_ok=True)


if __name__ == "__main__":
    command.run(main)
