"""Train the supernet."""

import logging
from pathlib import Path

import torch

from foxnas import cli
from foxnas.files.arrays import load_array
from foxnas.images.config import ViewConfig
from foxnas.images.listing import listed_classes
from foxnas.images.strata import check_trained
from foxnas.images.train_split import open_images
from foxnas.space.space import SearchSpace
from foxnas.supernet.channels import SORTING_IMAGES, sort_channels
from foxnas.supernet.initial import initial_supernet
from foxnas.supernet.training.finished import KeptSupernet
from foxnas.supernet.training.processes import join_processes
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.steps import first_images
from foxnas.supernet.training.training import train_supernet


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    training: Recipe,
    view: ViewConfig,
    images: Path,
    labels: Path,
    listing: Path | None = None,
    state: Path,
    threads: int,
    gpus: int = 0,
    donor: Path | None = None,
    supernet: Path,
) -> None:
    """Train phase by phase; `state` is what an interrupted training continues from. torchrun may start several.

    With a donor, training begins with its weights, the channels inside its layers sorted by what they do with the first
    training images.

    What was trained is also kept beside `state`: should the run be cut before it took note that this job had ended,
    days of training are not done again.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    with join_processes(gpus) as processes:
        if not processes.first:
            logging.getLogger().setLevel(logging.WARNING)
        kept = KeptSupernet(state.parent, made_by, images, labels)
        if not kept.path.exists():
            torch.set_num_threads(max(1, threads // processes.count))
            truth = load_array(labels)
            check_trained(truth, space.classes, labels)
            readers = max(1, threads // processes.count)
            pixels = open_images(images, truth, view, readers, training.smallest_crop)
            initial = None
            if donor is not None:
                initial = initial_supernet(space, donor)
                sort_channels(initial, first_images(pixels, SORTING_IMAGES, space.image_sizes[-1]))
            trained = train_supernet(
                space, pixels, truth, training, state, processes, initial=initial, content=kept.content
            )
            if processes.first:
                kept.keep(trained, listed_classes(listing))
        if processes.first:
            kept.take(supernet)
            state.unlink(missing_ok=True)


if __name__ == "__main__":
    cli.run(main)
