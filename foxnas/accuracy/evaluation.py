"""Accuracy of many subnets: extract, recalibrate batch norm, fold, evaluate; what they share is computed once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.memory import TOGETHER
from foxnas.accuracy.outcomes import Outcome
from foxnas.accuracy.preparation import Preparation
from foxnas.accuracy.sharing import Trail, segments
from foxnas.files.arrays import ArraysBySize
from foxnas.files.progress import follow
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.supernet.fitting_batch import within_memory
from foxnas.supernet.subnet import Subnet


@dataclass(frozen=True)
class Evaluation:
    """What one subnet did on n labelled images.

    `correct` is bool (n,); `correct_probability` is float32 (n,), the softmax of the true class; `seconds` is what
    its evaluation took, with its share of the passes that it had in common with others. (Statistics that several have
    in common count for the first.)
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


def measure(
    preparation: Preparation,
    archs: Sequence[Arch],
    images: ArraysBySize,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> Iterator[Evaluation]:
    """Yield what each architecture scores, in order, from extraction on: `measure_subnets` without the subnets."""
    for _, seen in measure_subnets(preparation, archs, images, labels, batch_size, hardware):
        yield seen


def measure_subnets(
    preparation: Preparation,
    archs: Sequence[Arch],
    images: ArraysBySize,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> Iterator[tuple[Subnet, Evaluation]]:
    """Yield each architecture's subnet, folded, and what it scores, in order.

    Neighbours of one image size go through the images together, and what they begin alike with is computed once: so
    sort them. A score is bit for bit what its architecture has alone.

    Raises FoxnasError like `ArraysBySize.at`, and when a batch takes more memory than there is.
    """
    prepared = preparation.subnets(archs)
    for size, alike in itertools.groupby(archs, lambda arch: arch.image_size):
        while group := list(itertools.islice(alike, TOGETHER)):
            yield from within_memory(
                partial(_measure_group, prepared, len(group), images.at(size), labels, batch_size, hardware),
                f"evaluating {batch_size} images of {size} px at a time",
                "accuracy.batch_size",
                batch_size,
                size,
                partial(preparation.attempt, size),
                hardware.device,
            )


def _measure_group(
    prepared: Iterator[Subnet],
    count: int,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware,
) -> list[tuple[Subnet, Evaluation]]:
    subnets, preparing_s = [], []
    for _ in range(count):
        begin = hardware.clock()
        subnets.append(next(prepared))
        preparing_s.append(hardware.clock() - begin)
    networks = [subnet.steps for subnet in subnets]
    found = evaluate_together(subnets[0].beginning, networks, images, labels, batch_size, hardware)
    seen = [replace(one, seconds=one.seconds + seconds) for one, seconds in zip(found, preparing_s, strict=True)]
    return list(zip(subnets, seen, strict=True))


def evaluate(
    network: Callable[[Tensor], Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> Evaluation:
    """Evaluate a network on uint8 images (n, H, W, channels) and int64 labels (n,)."""
    return evaluate_together(lambda x: x, [[network]], images, labels, batch_size, hardware)[0]


@torch.inference_mode()
def evaluate_together(
    beginning: Callable[[Tensor], Tensor],
    networks: Sequence[Sequence[Callable[[Tensor], Tensor]]],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    hardware: Hardware = PROCESSORS,
) -> list[Evaluation]:
    """Evaluate networks in one pass over the images: each is its steps after the beginning, which they have in common.

    Steps that neighbours begin with, too, are taken once, if they are the same objects.
    """
    # All of it stays on the device until the end: to look at a batch's outcome is to wait for it, while a GPU idles.
    truth = torch.from_numpy(labels).to(hardware.device)
    correct = torch.empty((len(networks), len(labels)), dtype=torch.bool, device=hardware.device)
    probability = torch.empty((len(networks), len(labels)), device=hardware.device)
    plan = segments(networks)
    moments = []
    starts = range(0, len(labels), batch_size)
    for start in follow(starts, len(starts), "batches", within=True):
        part = slice(start, start + batch_size)
        passed = [hardware.moment()]
        with hardware.autocast():
            trail = Trail(beginning(to_input(images[part], hardware.device)))
        passed.append(hardware.moment())
        for i, (steps, own) in enumerate(zip(networks, plan, strict=True)):
            for segment in own:
                x = trail.before(segment)
                with hardware.autocast():
                    for step in steps[segment.begin : segment.end]:
                        x = step(x)
                if segment is not own[-1]:
                    trail.keep(segment, x)
                    passed.append(hardware.moment())
            logits = x.float()
            correct[i, part] = logits.argmax(1) == truth[part]
            probability[i, part] = logits.softmax(1).gather(1, truth[part, None])[:, 0]
            passed.append(hardware.moment())
        moments.append(passed)
    found = zip(correct.cpu().numpy(), probability.cpu().numpy(), strict=True)
    spent = np.array([[hardware.between(*pair) for pair in itertools.pairwise(passed)] for passed in moments])
    beginning_s, *segments_s = spent.reshape(-1, 1 + sum(map(len, plan))).sum(0).tolist()
    seconds = np.full(len(networks), beginning_s / len(networks))
    numbered = [(i, segment) for i, own in enumerate(plan) for segment in own]
    for (i, segment), took in zip(numbered, segments_s, strict=True):
        seconds[i : i + segment.users] += took / segment.users
    return [Evaluation(*result, took) for result, took in zip(found, seconds.tolist(), strict=True)]
