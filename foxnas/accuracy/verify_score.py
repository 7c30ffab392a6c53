"""Scores of networks in training on the verify split, as subnets are evaluated: what an early stop looks at."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from foxnas.accuracy.by_class import in_words, over_classes
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import Evaluation, evaluate
from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize
from foxnas.space.arch import Arch
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.best_epoch import Score

#: Batches by which the time of all is foretold.
_TIMED = 3


class VerifyScore:
    """Scores in float, as the mean over architectures, each with the statistics of its own calibration images.

    Parameters
    ----------
    archs
        Of which a network is scored: one, or the same at several image sizes.
    calibration, images, labels
        The calibration images by size, and the verify split.
    names
        Of the classes.
    hardware
        Where they are evaluated.
    by
        What the score is: top1, or probability, the mean one of the right class.
    """

    def __init__(
        self,
        archs: Sequence[Arch],
        accuracy: AccuracyConfig,
        calibration: ArraysBySize,
        images: ArraysBySize,
        labels: np.ndarray,
        names: Sequence[str],
        hardware: Hardware = PROCESSORS,
        by: str = "top1",
    ) -> None:
        self._archs, self._accuracy, self._names, self._hardware = archs, accuracy, names, hardware
        self._calibration, self._images, self._labels, self._by = calibration, images, labels, by

    def score(self, network: Supernet) -> Score:
        """Return the score of a network, which stays as it is."""
        found = [self._evaluated(network, arch, self._accuracy.recalibration_images, None) for arch in self._archs]
        correct, truth = np.concatenate([one.correct for one in found]), np.tile(self._labels, len(found))
        said = over_classes(correct, truth, self._names)
        said["worst_class"]["images"] //= len(found)
        if self._by == "top1":
            return Score(100 * float(correct.mean()), in_words(said))
        said_too = f"top-1 {100 * float(correct.mean()):.2f}%, {in_words(said)}"
        return Score(float(np.mean([one.mean_probability_percent for one in found])), said_too)

    def forecast_s(self, network: Supernet) -> float:
        """Return the seconds that a score will take, by its first batches."""
        batch, clock = self._accuracy.batch_size, self._hardware.clock
        some = _TIMED * batch
        seconds = 0.0
        for arch in self._archs:
            calibrating = min(self._accuracy.recalibration_images, len(self._calibration.at(arch.image_size)))
            few, began = min(some, calibrating), clock()
            evaluated = self._evaluated(network, arch, few, some)
            preparing_s = clock() - began - evaluated.seconds
            seconds += preparing_s * calibrating / few
            seconds += evaluated.seconds * len(self._labels) / len(evaluated.correct)
        return seconds

    def _evaluated(self, network: Supernet, arch: Arch, calibrating: int, images: int | None) -> Evaluation:
        apart = copy.deepcopy(network).to(self._hardware.device)
        batch = self._accuracy.batch_size
        subnet = Preparation(apart, self._calibration, calibrating, batch, self._hardware).subnet(arch)
        pixels, labels = self._images.at(arch.image_size)[:images], self._labels[:images]
        return evaluate(subnet, pixels, labels, batch, self._hardware)
