"""Train a supernet, phase by phase: all subnets at once, or the largest first and then ever smaller ones.

Every step trains one random subnet of the phase at one random image size (the sandwich rule favours
the extremes, which a regression over random subnets then pays for), distilling from the frozen largest
subnet once there is one. The weights that are kept are an exponential moving average.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from foxnas.errors import FoxnasError
from foxnas.images.pixels import layout
from foxnas.images.training_files import TrainingFiles
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.fitting_batch import within_memory
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import digest
from foxnas.supernet.training.precision import MixedPrecision
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Moment, Recipe
from foxnas.supernet.training.state import Network, TrainingState
from foxnas.supernet.training.step_log import StepLog
from foxnas.supernet.training.steps import Draw, Images, Piece, draws, read_ahead, read_piece

log = logging.getLogger(__name__)

#: Gradients are scaled down to this norm.
MAX_GRADIENT_NORM = 5.0
#: Below this loss scale, fp16 does not overflow now and then: the training diverges.
MIN_LOSS_SCALE = 2.0**-10
#: Batches read before they are needed, where reading takes its time.
READ_AHEAD = 3


@dataclass(frozen=True)
class Keys:
    """The keys of the config by which a message names a training's batch size and the learning rate of a phase."""

    batch_size: str = "supernet.training.batch_size"
    learning_rate: str = "supernet.training.phases.{phase}.learning_rate"
    batch_parts: str | None = "supernet.training.batch_parts"


class Diverged(Exception):
    """The loss, a gradient or a weight is not a number; says which."""


def train_supernet(
    space: SearchSpace,
    images: Images,
    labels: np.ndarray,
    recipe: Recipe,
    resume_from: Path | None = None,
    processes: Processes | None = None,
    save_every_s: float = 300.0,
    initial: Supernet | None = None,
    content: str | None = None,
) -> Supernet:
    """Return the averaged supernet after all phases.

    Parameters
    ----------
    images
        uint8 (n, H, W, channels) at their native size, every batch resized to its own random size; or files, of which
        random crops are read, some batches ahead.
    labels
        int64 (n,).
    resume_from
        Written after every epoch and every `save_every_s` seconds, and read at the start when it exists.
    processes
        Those that train together; all of them call this function alike. None: this one alone, on the CPU.
    initial
        The weights to begin with; None: random ones.
    content
        Digest of the images: a training is not continued with others. None: it is, where number and labels are equal.

    Raises
    ------
    FoxnasError
        The training diverges, `resume_from` does not fit, a batch cannot be filled or shared, or takes more memory
        than there is.
    """
    torch.manual_seed(recipe.seed)
    supernet = Supernet(space)
    origin: dict[str, Any] = {}
    if initial is not None:
        supernet.load_state_dict(initial.state_dict())
        # Of what no order of channels changes: that comes from measurements, which may differ in the last digit.
        origin["initial_sha256"] = digest({"stem": initial.stem.weight.detach(), "head": initial.head.weight.detach()})
    return train(supernet, space, images, labels, recipe, origin, resume_from, processes, save_every_s, content=content)


def train(
    network: Network,
    space: SearchSpace,
    images: Images,
    labels: np.ndarray,
    recipe: Recipe,
    origin: Mapping[str, Any],
    resume_from: Path | None = None,
    processes: Processes | None = None,
    save_every_s: float = 300.0,
    arch: Arch | None = None,
    teacher: nn.Module | None = None,
    keys: Keys = Keys(),
    content: str | None = None,
    stops: Callable[[int, Network], bool] | None = None,
) -> Network:
    """Return the average of a network after all phases, on the CPU; parameters as of `train_supernet`.

    Parameters
    ----------
    network
        What is trained, in place: takes images and an architecture, and returns logits.
    origin
        What else tells this training from others: a state file of another one is refused.
    arch
        The only one that is trained; None: each step's is drawn.
    teacher
        Gives the soft labels of all phases, for the largest subnet of its `space`. None: the largest subnet as it is
        after the first phase.
    stops
        Asked at the end of every epoch, given how many there were and the average: whether that was the last one.
    """
    processes = processes or Processes()
    mine = processes.share(recipe.batch_parts)
    steps = len(labels) // recipe.batch_size
    if not steps or recipe.batch_size % recipe.batch_parts:
        raise FoxnasError(
            f"{keys.batch_size} is {recipe.batch_size}; it must be at most the {len(labels)} images of the train "
            f"split, and a multiple of batch_parts, {recipe.batch_parts}"
        )
    data: dict[str, Any] = {"images": list(images.shape), "labels_sha256": hashlib.sha256(labels.tobytes()).hexdigest()}
    if content is not None:
        data["images_sha256"] = content
    network = network.to(processes.device).to(memory_format=layout(processes.device))
    mixed = MixedPrecision.on(processes.device, recipe.precision)
    state = TrainingState(
        network,
        recipe,
        mixed,
        {"space": space.record(), "data": data, **origin},
        teacher and teacher.to(processes.device),
    )
    if recipe.class_weights == "balanced":
        state.class_weights = balanced(labels, space.classes).to(processes.device)
    if resume_from is not None and resume_from.exists():
        state.load(resume_from)
        log.info("continuing after epoch %d and %d steps of %s", state.epoch, state.step, resume_from)
    processes.agree(state.supernet)
    progress = StepLog(recipe, steps, state.epoch * steps + state.step, silent=not processes.first)
    saved = time.monotonic()

    def read(draw: Draw) -> list[Piece]:
        return [read_piece(images, labels, recipe, draw, part, processes.device) for part in mine]

    ahead = READ_AHEAD if isinstance(images, TrainingFiles) or processes.device.type == "cuda" else 0
    to_come = draws(recipe, space, len(labels), state.epoch, state.step, state.draws, arch)
    for draw, pieces in read_ahead(to_come, read, ahead):
        at, rate = draw.at, recipe.learning_rate(draw.at, steps)
        if at.phase and state.teacher is None and recipe.distillation:
            state.promote_teacher()
        try:
            work = partial(train_step, state, recipe, processes, draw.arch, pieces, rate)
            loss = step_within_memory(work, state, recipe, space, arch, keys)
            state.pass_step(draw, steps)
            stopped = not state.step and stops is not None and stops(state.epoch, state.average)
            # Not the state of the last epoch, after which a training that was cut would go on.
            due = (not state.step or time.monotonic() - saved >= save_every_s) and not stopped
            if resume_from is not None and processes.first and due:
                save(state, resume_from)
                saved = time.monotonic()
        except Diverged as error:
            raise FoxnasError(_way_out(str(error), recipe, at, steps, rate, resume_from, keys)) from error
        progress.step(at, loss, rate)
        if stopped:
            break
    return state.average.cpu()


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


def save(state: TrainingState[Network], path: Path) -> None:
    """Write the state. Raises Diverged when a weight is not a number, which would spoil the good state before."""
    if not state.is_finite():
        raise Diverged("a weight is not finite")
    state.save(path)


def _way_out(what: str, recipe: Recipe, at: Moment, steps: int, rate: float, kept: Path | None, keys: Keys) -> str:
    peak = recipe.phases[at.phase].learning_rate
    key = keys.learning_rate.format(phase=at.phase)
    advice = f"lower {key}, {peak:g}, to {peak / 3:.1g} for example"
    if recipe.precision == "fp16":
        advice += ", or try precision bf16"
    message = (
        f"training diverged in phase {at.phase + 1}, epoch {at.epoch + 1}, step {at.step + 1} of {steps}, at a "
        f"learning rate of {rate:.3g}: {what}; {advice}"
    )
    if kept is not None and kept.exists():
        message += f", and run again: it continues from the last good state, {kept} (delete that to start over)"
    return message
