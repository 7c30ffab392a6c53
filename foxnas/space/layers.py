"""Blocks and layers of a network: the fixed part of a space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foxnas.settings.limits import Count, Settings

#: Unit types, figure 3 of the paper.
SQUEEZE_EXCITE, SEPARABLE, FUSED = 1, 2, 3

Activation = Literal["relu", "relu6", "h-swish"]
Padding = Literal["same", "symmetric"]
Normalisation = Literal["none", "imagenet"]

#: Mean and standard deviation of ImageNet's pixels in [0, 1], channel by channel (torchvision's convention).
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SqueezeExcite(Settings):
    """Inside of the squeeze-and-excitation gates, which end in a hard-sigmoid."""

    reduction: Count = 4
    """The hidden width is divided by this..."""
    divisor: Count = 1
    """...rounded to a multiple of this..."""
    minimum: Count = 4
    """...and is at least this."""
    activation: Literal["relu", "relu6"] = "relu6"
    """Between the gate's two convolutions."""

    def width(self, hidden: int) -> int:
        """Width of the bottleneck inside the gate for a hidden width, never rounded down by more than a tenth.

        It is MobileNet's rule, with which Once-for-All rounds to 8.
        """
        wanted = hidden // self.reduction
        rounded = max(self.minimum, (2 * wanted + self.divisor) // (2 * self.divisor) * self.divisor)
        return rounded + self.divisor if 10 * rounded < 9 * wanted else rounded


@dataclass(frozen=True, slots=True)
class UnitSpec(Settings):
    """One unit of the space."""

    width: Count
    """Output channels of every layer of the unit."""
    stride: Literal[1, 2]
    """Stride of the unit's first layer."""
    type: Literal[1, 2, 3]
    """1: separable inverted bottleneck with squeeze-and-excitation; 2: the same without; 3: fused (K = 3 only)."""
    activation: Activation = "relu6"
    """After every convolution of a layer but the last."""
    first_type: Literal[0, 1, 2, 3] = 0
    """Type of the unit's first layer, if it is another; 0: the same."""

    @property
    def types(self) -> tuple[int, int]:
        """Type of the first layer, and of the others."""
        return self.first_type or self.type, self.type


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One block of a network, but for its kernel size and expansion ratio.

    `residual` says whether it adds its input; the rest is as in `UnitSpec`.
    """

    in_width: int
    width: int
    stride: int
    type: int
    activation: Activation
    residual: bool


def pads(padding: Padding, size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many rows a convolution adds before and after an axis of `size`; it has ceil(size / stride) outputs.

    SAME puts an odd row after the image. Symmetric padding adds kernel // 2 before; what it adds after and no
    stride reaches is left out.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    before = total // 2 if padding == "same" else kernel // 2
    return before, max(total - before, 0)
