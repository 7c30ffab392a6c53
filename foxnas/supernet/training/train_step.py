"""One step of a training: one subnet on one batch, shared out between processes, within the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.fitting_batch import within_memory
from foxnas.supernet.training.losses import loss_of, soft_labels
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.state import Network, TrainingState
from foxnas.supernet.training.steps import Piece

#: Gradients are scaled down to this norm.
MAX_GRADIENT_NORM = 5.0
#: Below this loss scale, fp16 does not overflow now and then: the training diverges.
MIN_LOSS_SCALE = 2.0**-10


@dataclass(frozen=True)
class Keys:
    """The keys of the config by which a message names a training's batch size and the learning rate of a phase."""

    batch_size: str = "supernet.training.batch_size"
    learning_rate: str = "supernet.training.phases.{phase}.learning_rate"
    batch_parts: str | None = "supernet.training.batch_parts"


OF_SUPERNET = Keys()


class Diverged(Exception):
    """The loss, a gradient or a weight is not a number; says which."""


def train_step(
    state: TrainingState[Network],
    recipe: Recipe,
    processes: Processes,
    arch: Arch,
    pieces: Sequence[Piece],
    learning_rate: float,
) -> float:
    """Train one subnet on this process's parts of one batch; return the loss of the whole batch.

    Raises Diverged, in all processes alike and before any weight has changed.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    state.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros(1, device=processes.device)
    scaler = state.mixed.scaler
    for x, y in pieces:
        with state.mixed.autocast():
            soft = soft_labels(state.teacher, x, arch)
            logits = state.supernet(x, arch)
        loss = loss_of(logits.float(), y, soft, recipe.distillation, state.class_weights) / recipe.batch_parts
        scaler.scale(loss).backward()
        total += loss.detach()
    gradients = [p.grad for p in state.supernet.parameters() if p.grad is not None]
    processes.add_up([*gradients, total])
    mean_loss = total.item()
    if not np.isfinite(mean_loss):
        raise Diverged(f"the loss is {mean_loss}")
    scaler.unscale_(state.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(state.supernet.parameters(), MAX_GRADIENT_NORM)
    if not torch.isfinite(norm) and (not scaler.is_enabled() or scaler.get_scale() < MIN_LOSS_SCALE):
        raise Diverged(f"the norm of the gradient is {norm.item()}")
    scaler.step(state.optimizer)
    scaler.update()
    average = get_ema_multi_avg_fn(recipe.average_decay)
    average(list(state.average.parameters()), list(state.supernet.parameters()), None)
    return mean_loss


def step_within_memory(
    work: Callable[[], float],
    state: TrainingState[Network],
    recipe: Recipe,
    space: SearchSpace,
    only: Arch | None,
    keys: Keys,
) -> float:
    """Return the loss of a step. Raises FoxnasError that says what fits of the `only` or the largest subnet."""
    size, together = only.image_size if only else space.image_sizes[-1], recipe.batch_size // recipe.batch_parts
    device = next(state.supernet.parameters()).device

    def attempt(images: int) -> None:
        arch = only or space.largest(size)
        x = torch.zeros(images, space.image_channels, size, size, device=device)
        with state.mixed.autocast():
            soft_labels(state.teacher, x, arch)
            logits = state.supernet(x, arch)
        logits.float().sum().backward()
        state.optimizer.zero_grad(set_to_none=True)

    parts = "" if keys.batch_parts is None else f", or {keys.batch_parts} so that a part has no more"
    what = f"a step of {together} images of up to {size} px"
    return within_memory(work, what, keys.batch_size, together, size, attempt, device, parts)
