"""Blocks and layers of a network: the fixed part of a space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foxnas.errors import FoxnasError

#: Unit types, figure 3 of the paper.
SQUEEZE_EXCITE, SEPARABLE, FUSED = 1, 2, 3

Activation = Literal["relu", "relu6", "h-swish"]
Padding = Literal["same", "symmetric"]
Normalisation = Literal["none", "imagenet"]

#: Mean and standard deviation of ImageNet's pixels in [0, 1], channel by channel (torchvision's convention).
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """How narrow a squeeze-and-excitation gate is, and its inner activation; the gate itself is hard-sigmoid.

    The width is hidden // `reduction`, rounded to a multiple of `divisor` (never down by more than a tenth)
    and at least `minimum`: MobileNet's rule, with which Once-for-All rounds to 8.
    """

    reduction: int = 4
    divisor: int = 1
    minimum: int = 4
    activation: Activation = "relu6"

    def __post_init__(self) -> None:
        if min(self.reduction, self.divisor, self.minimum) < 1:
            raise FoxnasError(f"squeeze rule {self} must have a reduction, a divisor and a minimum of at least 1")
        if self.activation == "h-swish":
            raise FoxnasError("the squeeze rule's activation must be relu or relu6")

    def width(self, hidden: int) -> int:
        """Width of the bottleneck inside the gate for a hidden width."""
        wanted = hidden // self.reduction
        rounded = max(self.minimum, (2 * wanted + self.divisor) // (2 * self.divisor) * self.divisor)
        return rounded + self.divisor if 10 * rounded < 9 * wanted else rounded


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """The fixed part of a unit.

    Parameters
    ----------
    width
        Output channels of every layer.
    stride
        Of its first layer; the others have 1.
    type
        1: separable inverted bottleneck with squeeze-and-excitation, 2: the same without, 3: fused, the
        expansion and the depthwise convolution being one ordinary 3x3 convolution.
    activation
        After every convolution but the last of a layer.
    first_type
        Type of the first layer, where it is another; 0: the same.
    """

    width: int
    stride: int
    type: int
    activation: Activation = "relu6"
    first_type: int = 0

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind not in (SQUEEZE_EXCITE, SEPARABLE, FUSED):
                raise FoxnasError(f"unit type {kind} is unknown: 1 has squeeze-and-excitation, 2 has none, 3 is fused")
        if self.stride not in (1, 2):
            raise FoxnasError(f"unit stride {self.stride} is not supported: take 1 or 2")
        if self.width < 1:
            raise FoxnasError(f"unit width {self.width} must be at least 1")

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
