"""Train a supernet by progressive shrinking: the largest subnet first, then kernel, depth, expansion.

Every step trains one random subnet of the phase at one random image size (the sandwich rule favours
the extremes, which a regression over random subnets then pays for), distilling from the frozen largest
subnet once there is one. The weights that are kept are an exponential moving average.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foxnas.data import resize, to_input
from foxnas.errors import FoxnasError
from foxnas.space import Arch, SearchSpace, draw_unit
from foxnas.supernet.model import Supernet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A stretch of training over the subnets whose knobs lie in these choices.

    The weights are the probabilities of the choices (None: all equal). Weights that rise with the knob
    keep the larger choice the better one, as progressive shrinking does.
    """

    epochs: int
    learning_rate: float
    kernel_sizes: Sequence[int]
    expansion_ratios: Sequence[int]
    depths: Sequence[int]
    kernel_weights: Sequence[float] | None = None
    expansion_weights: Sequence[float] | None = None
    depth_weights: Sequence[float] | None = None

    def draw(self, image_size: int, units: int, rng: np.random.Generator) -> Arch:
        """Draw a subnet of the phase, all knobs independent."""
        choices = (self.depths, self.kernel_sizes, self.expansion_ratios)
        weights = (self.depth_weights, self.kernel_weights, self.expansion_weights)
        return Arch(image_size, tuple(draw_unit(*choices, rng, *weights) for _ in range(units)))


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to train.

    `distillation` is the weight of the teacher's soft labels against the true ones, `average_decay`
    that of the moving average per step.
    """

    phases: Sequence[Phase]
    batch_size: int
    weight_decay: float
    distillation: float
    average_decay: float
    seed: int


class TrainingState:
    """Everything that the next epoch depends on, in one file, so that it continues where it was cut."""

    def __init__(self, supernet: Supernet, recipe: Recipe) -> None:
        self.supernet = supernet
        self.average = copy.deepcopy(supernet).requires_grad_(False)
        self.teacher: Supernet | None = None
        self.epoch = 0
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in supernet.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in supernet.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=1e-3,
        )

    def save(self, path: Path) -> None:
        """Write to a temporary name, then rename: a kill leaves the last whole epoch."""
        state = {
            "epoch": self.epoch,
            "supernet": self.supernet.state_dict(),
            "average": self.average.state_dict(),
            "teacher": self.teacher.state_dict() if self.teacher else None,
            "optimizer": self.optimizer.state_dict(),
        }
        temporary = path.with_suffix(path.suffix + ".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Restore from `save`. Raises FoxnasError when the file is of another space or damaged."""
        try:
            state = torch.load(path, weights_only=True)
            self.supernet.load_state_dict(state["supernet"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epoch = state["epoch"]
            if state["teacher"] is not None:
                self.promote_teacher()
                assert self.teacher is not None
                self.teacher.load_state_dict(state["teacher"])
        except Exception as error:
            raise FoxnasError(
                f"{path}: cannot continue training from this file ({error}); delete it to train from the start"
            ) from error

    def promote_teacher(self) -> None:
        """Freeze the averaged weights as the teacher of the coming phases."""
        self.teacher = copy.deepcopy(self.average).requires_grad_(False)


def loss_of(logits: Tensor, labels: Tensor, soft: Tensor | None, distillation: float) -> Tensor:
    """Cross-entropy, mixed with the cross-entropy against the teacher's probabilities."""
    hard = F.cross_entropy(logits, labels)
    if soft is None:
        return hard
    return (1 - distillation) * hard + distillation * F.cross_entropy(logits, soft)


def train_supernet(
    space: SearchSpace,
    images: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    resume_from: Path | None = None,
) -> Supernet:
    """Return the averaged supernet after all phases.

    Parameters
    ----------
    images
        uint8 (n, H, W, channels) at their native size; every batch is resized to its own random size.
    labels
        int64 (n,).
    resume_from
        Written after every epoch and read at the start when it exists.

    Raises
    ------
    FoxnasError
        The loss is not finite, or `resume_from` does not fit.
    """
    torch.manual_seed(recipe.seed)
    state = TrainingState(Supernet(space).to(memory_format=torch.channels_last), recipe)
    if resume_from is not None and resume_from.exists():
        state.load(resume_from)
        log.info("continuing after epoch %d of %s", state.epoch, resume_from)
    total = sum(phase.epochs for phase in recipe.phases)
    steps = len(labels) // recipe.batch_size
    started, first_epoch = time.monotonic(), state.epoch
    begin = 0
    for number, phase in enumerate(recipe.phases):
        for epoch in range(max(begin, state.epoch), begin + phase.epochs):
            if number and epoch == begin and state.teacher is None and recipe.distillation:
                state.promote_teacher()
            rng = np.random.default_rng([recipe.seed, epoch])
            order = rng.permutation(len(labels))
            running = 0.0
            for step in range(steps):
                progress = (epoch - begin + step / steps) / phase.epochs
                rate = phase.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
                rate *= min(1.0, (epoch * steps + step + 1) / 200)
                for group in state.optimizer.param_groups:
                    group["lr"] = rate
                size = int(rng.choice(space.image_sizes))
                batch = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
                running += train_step(state, recipe, phase, space, images, labels, size, batch, rng)
            state.epoch = epoch + 1
            if resume_from is not None:
                state.save(resume_from)
            rest = (time.monotonic() - started) / (state.epoch - first_epoch) * (total - state.epoch)
            log.info(
                "phase %d, epoch %d/%d: mean loss %.4f, about %.0f s left",
                number + 1, state.epoch, total, running / steps, rest,
            )  # fmt: skip
        begin += phase.epochs
    return state.average


def train_step(
    state: TrainingState,
    recipe: Recipe,
    phase: Phase,
    space: SearchSpace,
    images: np.ndarray,
    labels: np.ndarray,
    size: int,
    batch: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """Train one random subnet on one batch; return its loss."""
    arch = phase.draw(size, len(space.units), rng)
    x = to_input(resize(images[batch], size))
    flip = torch.from_numpy(rng.random(len(batch)) < 0.5)
    x[flip] = x[flip].flip(-1)
    y = torch.from_numpy(labels[batch])
    soft = None
    if state.teacher is not None:
        with torch.no_grad():
            soft = state.teacher(x, space.largest(size)).softmax(1)
    loss = loss_of(state.supernet(x, arch), y, soft, recipe.distillation)
    if not torch.isfinite(loss):
        raise FoxnasError(
            f"training diverged in epoch {state.epoch + 1}: the loss is {loss.item()}; lower the learning rate"
        )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.supernet.parameters(), 5.0)
    state.optimizer.step()
    with torch.no_grad():
        for kept, new in zip(state.average.parameters(), state.supernet.parameters(), strict=True):
            kept.lerp_(new, 1 - recipe.average_decay)
    return loss.item()
