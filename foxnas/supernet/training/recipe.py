"""Recipe of a training: phases of subnets, learning rates and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from foxnas.space.arch import Arch, draw_unit

Precision = Literal["fp32", "bf16", "fp16"]

#: Steps over which the learning rate rises at the very start.
WARM_UP_STEPS = 200


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
class Moment:
    """A step of a training: its phase (from 0), epoch (from 0, over all phases) and step within the epoch."""

    phase: int
    epoch: int
    step: int


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to train.

    `distillation` is the weight of the teacher's soft labels against the true ones, `average_decay`
    that of the moving average per step. A batch of `batch_size` images is cut into `batch_parts`, each with its
    own batch-norm statistics; their gradients are averaged, in one process or over several.
    """

    phases: Sequence[Phase]
    batch_size: int
    batch_parts: int
    weight_decay: float
    distillation: float
    average_decay: float
    precision: Precision
    seed: int

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    def first_epoch(self, phase: int) -> int:
        """Return the epoch that a phase begins with."""
        return sum(earlier.epochs for earlier in self.phases[:phase])

    def learning_rate(self, at: Moment, steps: int) -> float:
        """Return the learning rate of a step: half a cosine over its phase, after a warm-up at the very start."""
        phase = self.phases[at.phase]
        progress = (at.epoch - self.first_epoch(at.phase) + at.step / steps) / phase.epochs
        rate = phase.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
        return rate * min(1.0, (at.epoch * steps + at.step + 1) / WARM_UP_STEPS)

    def lasting(self) -> dict[str, Any]:
        """Return what may not change in the middle of a training: all but learning rates and precision."""
        described = asdict(self)
        del described["precision"]
        described["phases"] = [{k: v for k, v in p.items() if k != "learning_rate"} for p in described["phases"]]
        return described
