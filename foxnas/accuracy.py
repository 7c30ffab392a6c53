"""Accuracy of many subnets: extract, recalibrate batch norm, fold, evaluate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foxnas.accuracy_table import Outcome
from foxnas.arch import Arch
from foxnas.arrays import ArraysBySize
from foxnas.data import to_input
from foxnas.progress import follow
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet


@dataclass(frozen=True)
class Evaluation:
    """What one subnet did on n labelled images.

    `correct` is bool (n,); `correct_probability` is float32 (n,), the softmax of the true class.
    """

    correct: np.ndarray
    correct_probability: np.ndarray

    @property
    def top1_percent(self) -> float:
        """Top-1 accuracy in percent, unrounded."""
        return float(100 * self.correct.mean())

    @property
    def mean_probability_percent(self) -> float:
        """Mean probability of the correct class, in percent: a far less noisy relative of top-1."""
        return float(100 * self.correct_probability.mean(dtype=np.float64))


#: Images are dealt out to this many folds, round robin, for the reliability of a mean over images.
FOLDS = 20


def fold_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of (n,) values over each of `FOLDS` interleaved folds, float32 (FOLDS,)."""
    return np.array([values[fold::FOLDS].mean(dtype=np.float64) for fold in range(FOLDS)], np.float32)


def outcome_of(seen: Evaluation) -> Outcome:
    """Return what is kept of an evaluation."""
    return Outcome(
        seen.top1_percent,
        seen.mean_probability_percent,
        len(seen.correct),
        np.packbits(seen.correct),
        fold_means(seen.correct_probability),
    )


@torch.inference_mode()
def recalibrate(subnet: Subnet, images: Tensor, batch_size: int) -> Subnet:
    """Estimate every batch norm's statistics from calibration images, in place, as the mean over batches.

    A subnet's statistics are its own: with the largest subnet's, random subnets lose tens of points.
    """
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    subnet.train()
    for batch in images.split(batch_size):
        subnet(batch)
    return subnet.eval()


def prepare_subnet(supernet: Supernet, arch: Arch, calibration: Tensor, batch_size: int) -> Subnet:
    """Return the folded static subnet with its own statistics."""
    return recalibrate(Subnet(supernet, arch), calibration, batch_size).fold()


class Preparation:
    """How every subnet of a job is made ready: out of one supernet, with the same calibration images.

    Parameters
    ----------
    supernet
        Where the weights come from.
    calibration
        uint8 images by size; the first `images` of a subnet's size estimate its statistics.
    batch_size
        Images at once.
    """

    def __init__(self, supernet: Supernet, calibration: ArraysBySize, images: int, batch_size: int) -> None:
        self._supernet, self._calibration = supernet, calibration
        self._images, self._batch_size = images, batch_size
        self._held: tuple[int, Tensor] | None = None

    def subnet(self, arch: Arch) -> Subnet:
        """Return the folded static subnet with its own statistics. Raises FoxnasError like `ArraysBySize.at`."""
        size = arch.image_size
        if self._held is None or self._held[0] != size:
            self._held = size, to_input(self._calibration.at(size)[: self._images])
        return prepare_subnet(self._supernet, arch, self._held[1], self._batch_size)


@torch.inference_mode()
def evaluate(network: nn.Module, images: np.ndarray, labels: np.ndarray, batch_size: int) -> Evaluation:
    """Evaluate a network on uint8 images (n, H, W, channels) and int64 labels (n,)."""
    correct = np.empty(len(labels), bool)
    probability = np.empty(len(labels), np.float32)
    truth = torch.from_numpy(labels)
    starts = range(0, len(labels), batch_size)
    for start in follow(starts, len(starts), f"batches of {batch_size} images", within=True):
        part = slice(start, start + batch_size)
        logits = network(to_input(images[part]))
        correct[part] = (logits.argmax(1) == truth[part]).numpy()
        probability[part] = logits.softmax(1).gather(1, truth[part, None])[:, 0].numpy()
    return Evaluation(correct, probability)
