"""Losses of a training step: against true labels, against a teacher's, and with every class counting alike."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


def soft_labels(teacher: nn.Module | None, x: Tensor, arch: Arch) -> Tensor | None:
    """Return the probabilities (N, classes) of the teacher's largest subnet, or None where there is no teacher."""
    if teacher is None:
        return None
    with torch.no_grad():
        largest = cast(SearchSpace, teacher.space).largest(arch.image_size)
        return teacher(x, largest).float().softmax(1)


def loss_of(
    logits: Tensor,
    labels: Tensor,
    soft: Tensor | None,
    distillation: float,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy, mixed with the cross-entropy against the teacher's probabilities.

    With weights (classes,), an image's loss counts as its class does. They are 1 in the mean over the train split and
    not scaled to be so over a batch, so that batches and their parts add up.
    """

    def mean(targets: Tensor) -> Tensor:
        if class_weights is None:
            return F.cross_entropy(logits, targets)
        return (F.cross_entropy(logits, targets, reduction="none") * class_weights[labels]).mean()

    if soft is None:
        return mean(labels)
    return (1 - distillation) * mean(labels) + distillation * mean(soft)


def balanced(labels: np.ndarray, classes: int) -> Tensor:
    """Return weights (classes,) with which every class counts alike; 0 for one without images."""
    counts = np.bincount(labels, minlength=classes)
    present = int((counts > 0).sum())
    return torch.tensor(np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0), dtype=torch.float32)
