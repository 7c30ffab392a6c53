"""Accuracy of many subnets: extract, recalibrate batch norm, fold, evaluate; what they share is computed once."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.memory import HELD_BYTES, TOGETHER
from foxnas.accuracy.outcomes import Outcome
from foxnas.files.arrays import ArraysBySize
from foxnas.files.progress import follow
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.supernet.fitting_batch import within_memory
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import ConvNorm, Subnet


@dataclass(frozen=True)
class Evaluation:
    """What one subnet did on n labelled images.

    `correct` is bool (n,); `correct_probability` is float32 (n,), the softmax of the true class; `seconds` is what
    its evaluation took, with its share of what it had in common with others.
    """

    correct: np.ndarray
    correct_probability: np.ndarray
    seconds: float

    @property
    def top1_percent(self) -> float:
        """Top-1 accuracy in percent, unrounded."""
        return float(100 * self.correct.mean())

    @property
    def mean_probability_percent(self) -> float:
        """Mean probability of the correct class, in percent: a far less noisy relative of top-1."""
        return float(100 * self.correct_probability.mean(dtype=np.float64))

    def circumstances(self, hardware: Hardware = PROCESSORS) -> dict[str, Any]:
        """Return what is recorded with the accuracy: see `foxnas.accuracy.outcomes.CIRCUMSTANCES`."""
        return {
            "images": len(self.correct),
            "seconds": round(self.seconds, 4),
            "device": hardware.name,
            "precision": hardware.precision,
        }


#: Images are dealt out to this many folds, round robin, for the reliability of a mean over images.
FOLDS = 20


def fold_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of (n,) values over each of `FOLDS` interleaved folds, float32 (FOLDS,)."""
    return np.array([values[fold::FOLDS].mean(dtype=np.float64) for fold in range(FOLDS)], np.float32)


def outcome_of(seen: Evaluation, hardware: Hardware) -> Outcome:
    """Return what is kept of an evaluation."""
    return Outcome(
        seen.top1_percent,
        seen.mean_probability_percent,
        **seen.circumstances(hardware),
        correct=np.packbits(seen.correct),
        probability_folds=fold_means(seen.correct_probability),
    )


@torch.inference_mode()
def recalibrate(subnet: Subnet, batches: Iterable[Tensor]) -> Subnet:
    """Estimate every batch norm's statistics from batches of calibration images, in place.

    Each batch is normalised by its own mean and biased variance, and these are averaged over the batches, weighted by
    their images: what `set_running_statistics` of Once-for-All does. A subnet's statistics are its own: with the
    largest subnet's, random subnets lose tens of points.
    """
    return _recalibrated(subnet, subnet.forward, batches)


def _recalibrated(subnet: Subnet, part: Callable[[Tensor], Tensor], batches: Iterable[Tensor]) -> Subnet:
    for module in subnet.modules():
        if isinstance(module, ConvNorm):
            module.images_seen = 0
    subnet.train()
    for batch in batches:
        part(batch)
    return subnet.eval()


class Preparation:
    """How every subnet of a job is made ready: out of one supernet, with the same calibration images.

    The stem and the first block are the same in every subnet of one image size, and so are their statistics: they are
    made ready once, and the subnets share them.

    Parameters
    ----------
    supernet
        Where the weights come from.
    calibration
        uint8 images by size; the first `images` of a subnet's size estimate its statistics.
    batch_size
        Images at once.
    hardware
        Where subnets are made ready, always in float32.
    """

    def __init__(
        self,
        supernet: Supernet,
        calibration: ArraysBySize,
        images: int,
        batch_size: int,
        hardware: Hardware = PROCESSORS,
    ) -> None:
        self._supernet, self._calibration = supernet.to(hardware.device), calibration
        self._images, self._batch_size, self._hardware = images, batch_size, hardware
        self._held: tuple[int, _Beginning] | None = None

    @torch.inference_mode()
    def subnet(self, arch: Arch) -> Subnet:
        """Return the folded static subnet with its own statistics. Raises FoxnasError like `ArraysBySize.at`."""
        size = arch.image_size
        subnet = Subnet(self._supernet, arch)
        if self._held is None or self._held[0] != size:
            pixels = self._calibration.at(size)[: self._images]
            parts = [pixels[i : i + self._batch_size] for i in range(0, len(pixels), self._batch_size)]
            self._held = size, _Beginning(subnet, parts, self._hardware)
        beginning = self._held[1]
        subnet.stem, subnet.first = beginning.stem, beginning.first
        return _recalibrated(subnet, subnet.rest, beginning.batches()).fold()

    @torch.inference_mode()
    def attempt(self, size: int, images: int) -> None:
        """Do what takes most memory with so many images: the largest subnet, each batch with its own statistics."""
        space = self._supernet.space
        x = torch.zeros(images, space.image_channels, size, size, device=self._hardware.device)
        Subnet(self._supernet, space.largest(size)).train()(x)


class _Beginning:
    """The stem and the first block with their statistics, and what they make of the calibration images."""

    def __init__(self, subnet: Subnet, parts: Sequence[np.ndarray], hardware: Hardware) -> None:
        self._parts, self._hardware = parts, hardware
        self._measuring = copy.deepcopy(subnet).train()
        self._outputs: list[Tensor] | None = []
        for output in self._computed():
            if self._outputs is not None:
                self._outputs.append(output)
                if sum(one.nbytes for one in self._outputs) > HELD_BYTES:
                    self._outputs = None
        ready = copy.deepcopy(self._measuring).fold()
        self.stem, self.first = ready.stem, ready.first

    def batches(self) -> Iterator[Tensor]:
        """Yield what comes out of them, batch by batch."""
        return iter(self._outputs) if self._outputs is not None else self._computed()

    def _computed(self) -> Iterator[Tensor]:
        for part in self._parts:
            yield self._measuring.beginning(to_input(part, self._hardware.device))


def measure(
    preparation: Preparation,
    archs: Iterable[Arch],
    images: ArraysBySize,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> Iterator[Evaluation]:
    """Yield what each architecture scores, in order, from extraction on; neighbours of one image size go together.

    Raises FoxnasError like `ArraysBySize.at`, and when a batch takes more memory than there is.
    """
    for size, alike in itertools.groupby(archs, lambda arch: arch.image_size):
        while group := list(itertools.islice(alike, TOGETHER)):
            yield from within_memory(
                partial(_measure_group, preparation, group, images.at(size), labels, batch_size, hardware),
                f"evaluating {batch_size} images of {size} px at a time",
                "accuracy.batch_size",
                batch_size,
                partial(preparation.attempt, size),
                hardware.device,
            )


def _measure_group(
    preparation: Preparation,
    group: Sequence[Arch],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware,
) -> list[Evaluation]:
    subnets, preparing_s = [], []
    for arch in group:
        begin = hardware.clock()
        subnets.append(preparation.subnet(arch))
        preparing_s.append(hardware.clock() - begin)
    rests = [subnet.rest for subnet in subnets]
    found = evaluate_together(subnets[0].beginning, rests, images, labels, batch_size, hardware)
    return [replace(one, seconds=one.seconds + seconds) for one, seconds in zip(found, preparing_s, strict=True)]


def evaluate(
    network: Callable[[Tensor], Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> Evaluation:
    """Evaluate a network on uint8 images (n, H, W, channels) and int64 labels (n,)."""
    return evaluate_together(lambda x: x, [network], images, labels, batch_size, hardware)[0]


@torch.inference_mode()
def evaluate_together(
    beginning: Callable[[Tensor], Tensor],
    rests: Sequence[Callable[[Tensor], Tensor]],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> list[Evaluation]:
    """Evaluate networks that begin alike, in one pass over the images: each is its rest after the beginning."""
    # All of it stays on the device until the end: to look at a batch's outcome is to wait for it, while a GPU idles.
    truth = torch.from_numpy(labels).to(hardware.device)
    correct = torch.empty((len(rests), len(labels)), dtype=torch.bool, device=hardware.device)
    probability = torch.empty((len(rests), len(labels)), device=hardware.device)
    moments = []
    starts = range(0, len(labels), batch_size)
    for start in follow(starts, len(starts), "batches", within=True):
        part = slice(start, start + batch_size)
        passed = [hardware.moment()]
        with hardware.autocast():
            shared = beginning(to_input(images[part], hardware.device))
        passed.append(hardware.moment())
        for i, rest in enumerate(rests):
            with hardware.autocast():
                logits = rest(shared).float()
            correct[i, part] = logits.argmax(1) == truth[part]
            probability[i, part] = logits.softmax(1).gather(1, truth[part, None])[:, 0]
            passed.append(hardware.moment())
        moments.append(passed)
    found = zip(correct.cpu().numpy(), probability.cpu().numpy(), strict=True)
    spent = np.array([[hardware.between(*pair) for pair in itertools.pairwise(passed)] for passed in moments])
    spent = spent.reshape(-1, 1 + len(rests))
    seconds = spent[:, 1:].sum(0) + spent[:, 0].sum() / len(rests)
    return [Evaluation(*result, took) for result, took in zip(found, seconds.tolist(), strict=True)]
