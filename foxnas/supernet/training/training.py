"""Train a supernet, phase by phase: all subnets at once, or the largest first and then ever smaller ones.

Every step trains one random subnet of the phase at one random image size (the sandwich rule favours
the extremes, which a regression over random subnets then pays for), distilling from the frozen largest
subnet once there is one. The weights that are kept are an exponential moving average.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from foxnas.errors import FoxnasError
from foxnas.images.pixels import layout
from foxnas.images.training_files import TrainingFiles
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import digest
from foxnas.supernet.training.best_epoch import BestEpoch
from foxnas.supernet.training.forecast import Forecast, foresee
from foxnas.supernet.training.losses import balanced
from foxnas.supernet.training.precision import MixedPrecision
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Moment, Recipe
from foxnas.supernet.training.state import Network, TrainingState
from foxnas.supernet.training.step_log import StepLog
from foxnas.supernet.training.steps import Draw, Images, Piece, draws, read_ahead, read_piece
from foxnas.supernet.training.train_step import OF_SUPERNET, Diverged, Keys, step_within_memory, train_step

log = logging.getLogger(__name__)

#: Batches read before they are needed, where reading takes its time.
READ_AHEAD = 3


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
    best: Mapping[int, BestEpoch[Supernet]] | None = None,
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
    best
        The early stops, by phase: see `train`.

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
    return train(
        supernet, space, images, labels, recipe, origin, resume_from, processes, save_every_s,
        content=content, best=best,
    )  # fmt: skip


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
    keys: Keys = OF_SUPERNET,
    content: str | None = None,
    best: Mapping[int, BestEpoch[Network]] | None = None,
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
    best
        By phase, what looks at the average at the end of every epoch and may stop the phase. Its best epoch's weights
        are taken, as the average and as what goes on to be trained; the optimiser goes on as it is.
    """
    processes, best = processes or Processes(), best or {}
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

    def read(draw: Draw) -> list[Piece]:
        return [read_piece(images, labels, recipe, draw, part, processes.device) for part in mine]

    def one_step(state: TrainingState[Network], draw: Draw, pieces: list[Piece], rate: float = 0.0) -> float:
        work = partial(train_step, state, recipe, processes, draw.arch, pieces, rate)
        return step_within_memory(work, state, recipe, space, arch, keys)

    ahead = READ_AHEAD if isinstance(images, TrainingFiles) or processes.device.type == "cuda" else 0
    checks = {phase: one.forecast_s for phase, one in best.items()}
    to_foresee = partial(foresee, state, recipe, space, len(labels), arch, read, ahead, one_step, processes, checks)
    progress = StepLog(recipe, steps, not processes.first, _foresee(to_foresee, state, processes))
    saved = time.monotonic()
    while state.epoch < recipe.epochs:  # once, and once more after each phase that is stopped
        to_come = draws(recipe, space, len(labels), state.epoch, state.step, state.draws, arch)
        for draw, pieces in read_ahead(to_come, read, ahead):
            at, rate = draw.at, recipe.learning_rate(draw.at, steps)
            if at.phase and state.teacher is None and recipe.distillation:
                state.promote_teacher()
            try:
                loss = one_step(state, draw, pieces, rate)
                state.pass_step(draw, steps)
                stopped = not state.step and at.phase in best and _stops(state, recipe, at, processes, best[at.phase])
                due = not state.step or time.monotonic() - saved >= save_every_s
                if resume_from is not None and processes.first and due:
                    save(state, resume_from)
                    saved = time.monotonic()
            except Diverged as error:
                raise FoxnasError(_way_out(str(error), recipe, at, steps, rate, resume_from, keys)) from error
            progress.step(at, loss, rate)
            if stopped:
                break
    progress.end()
    return state.average.cpu()


def _foresee(
    to_foresee: Callable[[], Forecast], state: TrainingState[Network], processes: Processes
) -> Forecast | None:
    """Return what a training will take, and say so; None where its weights let no step be timed."""
    try:
        forecast = to_foresee()
    except Diverged:  # as the training itself is about to, and will say where
        return None
    if forecast.timed and processes.first:
        log.info("%s", forecast.said(state.epoch, state.step))
    return forecast


def _stops(
    state: TrainingState[Network], recipe: Recipe, at: Moment, processes: Processes, best: BestEpoch[Network]
) -> bool:
    """Return whether a phase with an early stop ends with this epoch; then go on from its best epoch's weights."""
    begin, end = recipe.first_epoch(at.phase), recipe.first_epoch(at.phase + 1)
    stopped = processes.told(lambda: best.stops(state.epoch - begin, state.average))
    if not stopped and state.epoch < end:
        return False
    if processes.first:
        best.take(state.supernet)
        best.take(state.average)
    processes.agree(state.supernet)
    processes.agree(state.average)
    state.epoch = end
    return True


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
