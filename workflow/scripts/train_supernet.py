"""Train the supernet."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from foxnas import command
from foxnas.config.space import SpaceConfig
from foxnas.config.supernet import TrainingConfig
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.processes import join_processes
from foxnas.supernet.recipe import Phase, Recipe
from foxnas.supernet.training import train_supernet


def main(
    *,
    space: SpaceConfig,
    training: TrainingConfig,
    images: Path,
    labels: Path,
    state: Path,
    threads: int,
    gpus: int = 0,
    supernet: Path,
) -> None:
    """Train phase by phase; `state` is what an interrupted training continues from. torchrun may start several."""
    settings = training.model_dump()
    settings["phases"] = [Phase(**phase) for phase in settings["phases"]]
    recipe = Recipe(**settings)
    state.parent.mkdir(parents=True, exist_ok=True)
    with join_processes(gpus) as processes:
        if not processes.first:
            logging.getLogger().setLevel(logging.WARNING)
        torch.set_num_threads(max(1, threads // processes.count))
        pixels = np.load(images, mmap_mode="r")
        trained = train_supernet(space.build(), pixels, np.load(labels), recipe, state, processes)
        if processes.first:
            save_supernet(trained, supernet, command.made_by(__file__, {"space": space, "training": asdict(recipe)}))
            state.unlink(missing_ok=True)


if __name__ == "__main__":
    command.run(main)
