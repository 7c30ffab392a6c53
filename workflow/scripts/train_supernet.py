"""Train the supernet."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from foxnas import command
from foxnas.config.data import ViewConfig
from foxnas.config.space import SpaceConfig
from foxnas.config.supernet import TrainingConfig
from foxnas.datasets.folders import read_files
from foxnas.datasets.training_files import TrainingFiles
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.processes import join_processes
from foxnas.supernet.recipe import Phase, Recipe
from foxnas.supernet.training import train_supernet


def main(
    *,
    space: SpaceConfig,
    training: TrainingConfig,
    view: ViewConfig,
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
        truth = np.load(labels)
        pixels: np.ndarray | TrainingFiles
        if images.suffix == ".csv":
            assert view.folder is not None  # only a folder's images are listed
            readers = max(1, threads // processes.count)
            files = read_files(images, Path(view.folder))
            pixels = TrainingFiles(files, truth, view.channels, readers, skip=view.corrupt_images == "skip")
        else:
            pixels = np.load(images, mmap_mode="r")
        trained = train_supernet(space.build(), pixels, truth, recipe, state, processes)
        if processes.first:
            save_supernet(trained, supernet, command.made_by(__file__, {"space": space, "training": asdict(recipe)}))
            state.unlink(missing_ok=True)


if __name__ == "__main__":
    command.run(main)
