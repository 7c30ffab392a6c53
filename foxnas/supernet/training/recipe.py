"""Recipe of a training: phases of subnets, learning rates and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.images.symmetry import Symmetry
from foxnas.settings.limits import LATER, Above0, Count, Least0, Limits, Number, Seed, Settings, plain
from foxnas.space.arch import Arch, Knob, draw_unit
from foxnas.space.layers import UnitChoices

Choices = tuple[Count, ...]
Weights = tuple[Annotated[Number, Limits(ge=0, le=1)], ...] | None
ClassWeights = Literal["equal", "balanced"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Phase(Settings):
    """One phase of progressive shrinking: the subnets it trains."""

    epochs: Count
    """Passes over the train split."""
    learning_rate: Above0
    """Peak learning rate of AdamW, followed by a half cosine."""
    kernel_sizes: Choices
    """Choices of K in this phase."""
    expansion_ratios: Choices
    """Choices of E in this phase."""
    depths: Choices
    """Choices of D in this phase."""
    kernel_weights: Weights = None
    """Probabilities of those kernel sizes; null: all equal."""
    expansion_weights: Weights = None
    """Probabilities of those expansion ratios; null: all equal."""
    depth_weights: Weights = None
    """Probabilities of those depths; null: all equal."""
    patience: Count | None = field(default=None, metadata=LATER)
    """Epochs in a row that may be no better on the verify split before the phase stops; the best epoch's weights are
    taken. Only for a phase of one subnet, such as that which fine-tunes a donor. null: all epochs, and the last one's
    weights, which most often are the best, since the learning rate ends at zero."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        for name, choices, weights in (
            ("kernel_sizes", self.kernel_sizes, self.kernel_weights),
            ("expansion_ratios", self.expansion_ratios, self.expansion_weights),
            ("depths", self.depths, self.depth_weights),
        ):
            if weights is not None and (len(weights) != len(choices) or abs(sum(weights) - 1) > 1e-6):
                raise FoxnasError(
                    f"the weights {list(weights)} of {name} {list(choices)} must be as many, and sum to 1"
                )

        several = [name for name in ("kernel_sizes", "expansion_ratios", "depths") if len(getattr(self, name)) > 1]
        if self.patience is not None and several:
            raise FoxnasError(
                f"patience is {self.patience}, but {several[0]} {list(getattr(self, several[0]))} are several: what "
                "one of many subnets scores says little of the others; write patience in a phase of one subnet, or null"
            )

    def draw(self, image_size: int, units: Sequence[UnitChoices], rng: np.random.Generator) -> Arch:
        """Draw a subnet of the phase, all knobs independent, from what each unit may look like.

        Weights that rise with the knob keep the larger choice the better one, as progressive shrinking does.
        """
        return Arch(image_size, tuple(draw_unit(*self._of_unit(unit), rng) for unit in units))

    def _of_unit(self, unit: UnitChoices) -> tuple[Knob, Knob, Knob]:
        """Return the phase's choices that a unit has, with their weights; of a knob of which it has none, the nearest.

        A unit of at most two layers is trained whole in a phase of depth 4.
        """
        return (
            _among(unit.depths, self.depths, self.depth_weights),
            _among(unit.kernel_sizes, self.kernel_sizes, self.kernel_weights),
            _among(unit.expansion_ratios, self.expansion_ratios, self.expansion_weights),
        )


def _among(own: Choices, choices: Choices, weights: Weights) -> Knob:
    """Return those of the choices that are a unit's own, with weights that sum to 1."""
    kept = [choice in own for choice in choices]
    if all(kept):
        return choices, weights
    if not any(kept):
        return (min(own, key=lambda one: min(abs(one - choice) for choice in choices)),), None
    found = tuple(choice for choice, keep in zip(choices, kept, strict=True) if keep)
    if weights is None:
        return found, None
    shares = [weight for weight, keep in zip(weights, kept, strict=True) if keep]
    total = sum(shares)
    return found, tuple(share / total for share in shares) if total else None


@dataclass(frozen=True)
class Moment:
    """A step of a training: its phase (from 0), epoch (from 0, over all phases) and step within the epoch."""

    phase: int
    epoch: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """How the supernet is trained when supernet.source is train."""

    seed: Seed = 0
    """Initial weights, order of the images, subnets of the steps."""
    batch_size: Count = 256
    """Images per step, over all GPUs."""
    batch_parts: Count = 1
    """Parts that a batch is cut into, each with its own batch-norm statistics: what GPUs share out, and what fits one's
    memory. More parts are another training, more GPUs are not."""
    weight_decay: Least0 = 0.0001
    """Weight decay of AdamW, on convolutions and the classifier."""
    distillation: Annotated[Number, Limits(ge=0, le=1)] = 0.0
    """Weight of the largest subnet's soft labels against the true ones, after the first phase."""
    warm_up_steps: Count = 200
    """Steps over which the learning rate rises at the very start; with few images an epoch has few."""
    smallest_crop: Annotated[Number, Limits(gt=0, le=1)] = 0.08
    """Share of a photograph's area that a random crop has at least; more where what matters is small."""
    symmetry: Symmetry = "mirror"
    """How a training image may be turned at random, its class staying what it is. none: not at all (signs, writing);
    mirror: left and right; flips: top and bottom, too; quarter-turns: by 90, 180 and 270 degrees as well, where no side
    is up (parts, tissue, the ground from above)."""
    class_weights: ClassWeights = "equal"
    """equal: every photograph counts alike; balanced: every class does, however few photographs it has, for the mean
    over classes and at the cost of top-1."""
    average_decay: Annotated[Number, Limits(ge=0, lt=1)] = 0.998
    """Decay per step of the moving average of the weights."""
    precision: Precision = "fp32"
    """What GPUs compute in, weights staying fp32; fp16 with a scaled loss. Without effect where gpus is 0."""
    phases: tuple[Phase, ...] = ()
    """In order, at least one where supernet.source is train; the largest subnet after the first becomes the teacher of
    the others."""

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def stops_early(self) -> bool:
        """Whether the training of a phase may stop before its last epoch."""
        return any(phase.patience for phase in self.phases)

    def first_epoch(self, phase: int) -> int:
        """Return the epoch that a phase begins with."""
        return sum(earlier.epochs for earlier in self.phases[:phase])

    def learning_rate(self, at: Moment, steps: int) -> float:
        """Return the learning rate of a step: half a cosine over its phase, after a warm-up at the very start."""
        phase = self.phases[at.phase]
        progress = (at.epoch - self.first_epoch(at.phase) + at.step / steps) / phase.epochs
        rate = phase.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
        return rate * min(1.0, (at.epoch * steps + at.step + 1) / self.warm_up_steps)

    def lasting(self) -> dict[str, Any]:
        """Return what may not change in the middle of a training: all but learning rates and precision."""
        described: dict[str, Any] = plain(self)
        del described["precision"]
        described["phases"] = [{k: v for k, v in p.items() if k != "learning_rate"} for p in described["phases"]]
        return described
