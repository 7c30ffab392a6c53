"""Single-Path NAS (Stamoulis et al., 2019, arXiv 1904.02877): weights and decisions of a superkernel, trained together.

The loss is cross-entropy + lambda x log(R), R the latency of the subnet that the decisions spell, as in the authors'
code (`runtime_loss`, nas-search/search_main.py). Their R is linear in each indicator, so its derivative by one, where
all are 0 or 1, is what R changes by when that one is turned over; with that, any fitted latency model will do here.

Departures: lambda is not swept over trainings, but raised while R is above the budget and lowered below it, in
proportion to log(R / budget) (dual ascent). Training starts from a supernet whose subnets are all trained, so there
is no warm-up with random indicators. Thresholds follow plain gradients, each divided by what its decision costs, so
that what brings least for its milliseconds goes first; AdamW, which trains the weights, would move all alike. Margins
are bounded, so that what was dropped can come back in time. What the training ends with hovers about the budget and is
fitted to it by the margins of the decisions. An image size is no part of a kernel: it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from comparisons.strategies.superkernel import Superkernel, indicator
from foxnas.errors import FoxnasError
from foxnas.images.pixels import layout
from foxnas.images.symmetry import Symmetry
from foxnas.images.training_files import TrainingFiles
from foxnas.space.arch import Arch
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.step_log import StepLog
from foxnas.supernet.training.steps import Draw, Images, Piece, draws, read_ahead, read_piece
from foxnas.supernet.training.train_step import MAX_GRADIENT_NORM
from foxnas.supernet.training.training import READ_AHEAD

#: Predicted latencies of subnets of one image size, in ms.
Latency = Callable[[Sequence[Arch]], NDArray[np.float64]]

#: What lambda rises by over a whole training while the latency is e times the budget.
MULTIPLIER_RISE = 10.0
#: What thresholds rise by over a whole training at lambda 1, if what they drop is not missed.
THRESHOLD_RISE = 30.0
#: Costs are counted as this share of the average decision's at least.
LEAST_COST = 0.3
#: Margins, in units of a group's first norm, are kept within this, so that a decision can be taken back.
LARGEST_MARGIN = 0.5


@dataclass(frozen=True)
class Found:
    """What a training ended with."""

    arch: Arch
    latency_ms: float
    decided: Arch
    """What the training had decided for, before that was fitted to the budget."""
    multiplier: float
    """The last lambda."""


def single_path(
    supernet: Supernet,
    image_size: int,
    budget_ms: float,
    latency: Latency,
    images: Images,
    labels: np.ndarray,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
    symmetry: Symmetry = "mirror",
) -> Found:
    """Return the subnet that a training from the supernet's weights, which stay as they are, decides for.

    Parameters
    ----------
    images, labels
        The train split, as of `foxnas.supernet.training.training.train_supernet`.

    Raises
    ------
    FoxnasError
        The smallest subnet of that image size is above the budget, the training diverges, or has not one batch.
    """
    space = supernet.space
    smallest = space.smallest(image_size)
    if (least_ms := float(latency([smallest])[0])) > budget_ms:
        raise FoxnasError(
            f"Single-Path: the smallest subnet at {image_size} px is predicted at {least_ms:.4g} ms, above the budget "
            f"of {budget_ms:.4g} ms; raise the budget"
        )
    steps = len(labels) // batch_size
    if not steps:
        raise FoxnasError(
            f"comparison.single_path.batch_size is {batch_size}; it must be at most the {len(labels)} images of the "
            "train split"
        )
    whole = space.largest(image_size)
    phase = Phase(epochs, learning_rate, space.kernel_sizes, space.expansion_ratios, space.depths)
    warm_up_steps = max(epochs * steps // 20, 1)
    recipe = Recipe(seed=seed, batch_size=batch_size, warm_up_steps=warm_up_steps, symmetry=symmetry, phases=(phase,))
    network = Superkernel(copy.deepcopy(supernet)).to(device).to(memory_format=layout(device))
    weights = list(network.supernet.parameters())
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    costs = slopes_of(network, [True] * len(network.thresholds), image_size, latency)[1].to(network.thresholds)
    # An indicator's slope is 0.2 to 0.25 within the largest margin.
    rates = THRESHOLD_RISE / (0.22 * epochs * steps) / costs.clamp(min=LEAST_COST * costs.mean())
    multiplier, progress = 0.0, StepLog(recipe, steps, silent=False)

    def read(draw: Draw) -> Piece:
        return read_piece(images, labels, recipe, draw, 0, device)

    ahead = READ_AHEAD if isinstance(images, TrainingFiles) or device.type == "cuda" else 0
    for draw, (x, y) in read_ahead(draws(recipe, space, len(labels), 0, 0, None, whole), read, ahead):
        rate = recipe.learning_rate(draw.at, steps)
        optimizer.param_groups[0]["lr"] = rate
        decisions = indicator(network.margins())
        over = log_latency(network, decisions, image_size, latency) - float(np.log(budget_ms))
        loss = F.cross_entropy(network(x, decisions), y) + multiplier * over
        network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, MAX_GRADIENT_NORM)
        if not torch.isfinite(loss + norm):
            raise FoxnasError(
                f"Single-Path: training diverged in epoch {draw.at.epoch + 1}, step {draw.at.step + 1} of {steps}; "
                f"lower comparison.single_path.learning_rate, {learning_rate:g}, to {learning_rate / 3:.1g} for example"
            )
        optimizer.step()
        network.move_thresholds(rates, LARGEST_MARGIN)
        multiplier = max(multiplier + MULTIPLIER_RISE / (epochs * steps) * float(over.detach()), 0.0)
        progress.step(draw.at, float(loss.detach()), rate)
    return fit_budget(network, image_size, budget_ms, latency, multiplier)


def log_latency(network: Superkernel, decisions: Tensor, image_size: int, latency: Latency) -> Tensor:
    """Return the log of the latency of the subnet that decisions of 0 and 1 spell, with its derivative by each."""
    kept = [bool(decision) for decision in decisions.detach().round().tolist()]
    log_ms, slopes = slopes_of(network, kept, image_size, latency)
    return (decisions - decisions.detach()) @ slopes.to(decisions) + log_ms


def slopes_of(network: Superkernel, kept: list[bool], image_size: int, latency: Latency) -> tuple[float, Tensor]:
    """Return the log of the latency of a subnet, and its derivatives by the decisions that spell it."""
    turned = [[*kept[:i], not kept[i], *kept[i + 1 :]] for i in range(len(kept))]
    now_ms, *others_ms = latency([network.arch(each, image_size) for each in (kept, *turned)])
    return float(np.log(now_ms)), torch.from_numpy(np.where(kept, 1, -1) * (now_ms - np.array(others_ms)) / now_ms)


@torch.no_grad()
def fit_budget(network: Superkernel, image_size: int, budget_ms: float, latency: Latency, multiplier: float) -> Found:
    """Return the subnet of a network's decisions, fitted to the budget by their margins.

    Above it, decisions are dropped, the least margin first. Then those dropped are kept again, the largest margin
    first, where there is room.
    """
    margins = network.margins().tolist()
    upwards = sorted(range(len(margins)), key=lambda i: margins[i])
    kept = network.reached([margin >= 0 for margin in margins])
    decided = arch = network.arch(kept, image_size)

    def latency_ms(arch: Arch) -> float:
        return float(latency([arch])[0])

    for i in upwards:
        if latency_ms(arch) <= budget_ms:
            break
        kept[i] = False
        kept = network.reached(kept)
        arch = network.arch(kept, image_size)
    before = None
    while arch != before:
        before = arch
        for i in (i for i in reversed(upwards) if not kept[i]):
            larger = network.arch([*kept[:i], True, *kept[i + 1 :]], image_size)
            if larger != arch and latency_ms(larger) <= budget_ms:
                kept[i], arch = True, larger
    return Found(arch, latency_ms(arch), decided, multiplier)
