"""Train the supernet."""

import logging
from pathlib import Path

import numpy as np
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.hardware import Hardware
from foxnas.accuracy.verify_score import VerifyScore
from foxnas.app.classes import class_names
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.images.config import ViewConfig
from foxnas.images.listing import listed_classes
from foxnas.images.strata import check_trained
from foxnas.images.train_split import open_images
from foxnas.space.space import SearchSpace
from foxnas.supernet.channels import SORTING_IMAGES, sort_channels
from foxnas.supernet.initial import initial_supernet
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.best_epoch import BestEpoch
from foxnas.supernet.training.fine_tuning import BEST
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
    accuracy: AccuracyConfig | None = None,
    dataset: str | None = None,
    calibration: list[Path] | None = None,
    verify_images: list[Path] | None = None,
    verify_labels: Path | None = None,
    supernet: Path,
) -> None:
    """Train phase by phase; `state` is what an interrupted training continues from. torchrun may start several.

    With a donor, training begins with its weights, the channels inside its layers sorted by what they do with the first
    training images. Where a phase may stop early, the calibration images and the verify split are given, too.

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
            best = dict[int, BestEpoch[Supernet]]()
            if accuracy and dataset and calibration and verify_images and verify_labels:
                held = ArraysBySize(calibration), ArraysBySize(verify_images), load_array(verify_labels)
                names, hardware = class_names(dataset, space.classes, listing), Hardware(processes.device)
                for number, phase in enumerate(training.phases):
                    if phase.patience:
                        drawn = np.random.default_rng()  # there is but one
                        archs = [phase.draw(size, space.choices, drawn) for size in space.image_sizes]
                        score = VerifyScore(archs, accuracy, *held, names, hardware)
                        path = state.with_name(f"{state.stem}-{number + 1}{BEST}")
                        best[number] = BestEpoch(path, score.score, phase.patience, score.forecast_s)
            trained = train_supernet(
                space, pixels, truth, training, state, processes, initial=initial, content=kept.content, best=best
            )
            if processes.first:
                kept.keep(trained, listed_classes(listing))
        if processes.first:
            kept.take(supernet)
            for done in (state, *state.parent.glob(f"{state.stem}-*{BEST}")):
                done.unlink(missing_ok=True)


if __name__ == "__main__":
    cli.run(main)
