"""Random choices of each training step, drawn ahead: the same in all processes, and after an interruption."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from foxnas.images.pixels import resize, to_input
from foxnas.images.symmetry import turn
from foxnas.images.training_files import TrainingFiles
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.training.recipe import Moment, Recipe

Batch = TypeVar("Batch")

Images = np.ndarray | TrainingFiles
"""uint8 (n, H, W, channels), seen whole; or files, of which random crops are read."""

Piece = tuple[Tensor, Tensor]
"""One part of a batch: images (n, channels, H, W) in [0, 1] and labels (n,)."""


@dataclass(frozen=True)
class Draw:
    """A step: its subnet, its batch's rows, numbers in [0, 1) that say how each is turned, the generator after that."""

    at: Moment
    arch: Arch
    rows: np.ndarray
    turns: np.ndarray
    after: dict[str, Any]


def draws(
    recipe: Recipe,
    space: SearchSpace,
    images: int,
    epoch: int,
    step: int,
    state: dict[str, Any] | None,
    arch: Arch | None = None,
) -> Iterator[Draw]:
    """Yield every step from one on; `state` is the generator's there, None at the beginning of an epoch.

    With an `arch`, every step trains that one; else each has one of its phase at random.
    """
    for number, phase in enumerate(recipe.phases):
        begin = recipe.first_epoch(number)
        for this in range(max(begin, epoch), begin + phase.epochs):
            rng = np.random.default_rng([recipe.seed, this])
            order = rng.permutation(images)
            if this == epoch and state is not None:
                rng.bit_generator.state = state
            for start in range(step if this == epoch else 0, images // recipe.batch_size):
                drawn = arch or phase.draw(int(rng.choice(space.image_sizes)), space.choices, rng)
                rows = order[start * recipe.batch_size : (start + 1) * recipe.batch_size]
                turns = rng.random(len(rows))
                yield Draw(Moment(number, this, start), drawn, rows, turns, dict(rng.bit_generator.state))


def read_piece(
    images: Images,
    labels: np.ndarray,
    recipe: Recipe,
    draw: Draw,
    part: int,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
) -> Piece:
    """Return one part of a batch, on the device; a GPU gets bytes, which travel while it computes."""
    each = len(draw.rows) // recipe.batch_parts
    piece = slice(part * each, (part + 1) * each)
    rows, size = draw.rows[piece], draw.arch.image_size
    if isinstance(images, TrainingFiles):
        pixels = images.crops(rows, size, (recipe.seed, draw.at.epoch))
    else:
        pixels = resize(images[rows], size)
    turn(pixels, draw.turns[piece], recipe.symmetry)
    y = torch.from_numpy(labels[rows])
    if device.type == "cuda":
        # The thread that reads ahead has a current device of its own, the first, in every process.
        with torch.cuda.device(device):
            return to_input(pixels, device), y.pin_memory().to(device, non_blocking=True)
    return to_input(pixels), y


def first_images(images: Images, count: int, size: int) -> Tensor:
    """Return the first images of a training, or all if there are fewer, at one size: (n, channels, H, W) in [0, 1].

    Of files, one random crop of each.
    """
    rows = np.arange(min(count, images.shape[0]))
    pixels = images.crops(rows, size, (0, 0)) if isinstance(images, TrainingFiles) else resize(images[rows], size)
    return to_input(pixels)


def read_ahead(to_come: Iterable[Draw], read: Callable[[Draw], Batch], ahead: int) -> Iterator[tuple[Draw, Batch]]:
    """Yield every draw with its batch, while a thread reads the next `ahead` ones; 0: no thread."""
    if not ahead:
        for draw in to_come:
            yield draw, read(draw)
        return
    waiting: deque[tuple[Draw, Future[Batch]]] = deque()
    with ThreadPoolExecutor(1) as reader:
        for draw in to_come:
            waiting.append((draw, reader.submit(read, draw)))
            if len(waiting) > ahead:
                first, batch = waiting.popleft()
                yield first, batch.result()
        for first, batch in waiting:
            yield first, batch.result()
