"""Blocks and layers of a network: the fixed part of a space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Annotated, Literal

from foxnas.settings.limits import LATER, Limits, Settings, Whole
from foxnas.space.arch import Layer

#: Unit types, figure 3 of the paper.
SQUEEZE_EXCITE, SEPARABLE, FUSED = 1, 2, 3

Activation = Literal["relu", "relu6", "h-swish"]
Padding = Literal["same", "symmetric"]
Normalisation = Literal["none", "imagenet", "lite"]

#: Mean and standard deviation of ImageNet's pixels in [0, 1], channel by channel (torchvision's convention).
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: What is taken from the pixels in [0, 1], and what they are divided by then, channel by channel.
PIXEL_STATISTICS: Mapping[Normalisation, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType(
    {"imagenet": (IMAGENET_MEAN, IMAGENET_STD), "lite": ((127 / 255,) * 3, (128 / 255,) * 3)}
)


#: Channels, pixels or classes: beyond any network for a device, and products of two still count in 64 bits.
LARGEST = 100_000
Size = Annotated[Whole, Limits(ge=1, le=LARGEST)]
Size0 = Annotated[Whole, Limits(ge=0, le=LARGEST)]

#: A kernel size, an expansion ratio or a depth.
Choice = Annotated[Whole, Limits(ge=1, le=100)]


@dataclass(frozen=True, slots=True)
class UnitChoices:
    """What a unit may look like: its depths, and the kernel sizes and expansion ratios of each of its layers."""

    depths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    expansion_ratios: tuple[int, ...]

    @property
    def later_depths(self) -> tuple[int, ...]:
        """Depths with layers after the first."""
        return tuple(depth for depth in self.depths if depth > 1)

    def layers(self) -> tuple[Layer, ...]:
        """Every (K, E) a layer may take."""
        return tuple(product(self.kernel_sizes, self.expansion_ratios))

    def hold(self, layers: tuple[Layer, ...]) -> bool:
        """Whether a unit of these layers is one of them."""
        return len(layers) in self.depths and all(
            k in self.kernel_sizes and e in self.expansion_ratios for k, e in layers
        )


@dataclass(frozen=True, slots=True)
class SqueezeExcite(Settings):
    """Inside of the squeeze-and-excitation gates, which end in a hard-sigmoid."""

    reduction: Size = 4
    """The hidden width is divided by this..."""
    divisor: Size = 1
    """...rounded to a multiple of this..."""
    minimum: Size = 4
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

    width: Size
    """Output channels of every layer of the unit."""
    stride: Literal[1, 2]
    """Stride of the unit's first layer."""
    type: Literal[1, 2, 3]
    """1: separable inverted bottleneck with squeeze-and-excitation; 2: the same without; 3: fused (K = 3 only)."""
    activation: Activation = "relu6"
    """After every convolution of a layer but the last."""
    first_type: Literal[0, 1, 2, 3] = 0
    """Type of the unit's first layer, if it is another; 0: the same."""
    depths: tuple[Choice, ...] | None = field(default=None, metadata=LATER)
    """Choices of D of this unit, some of the space's; null: all of them."""
    kernel_sizes: tuple[Choice, ...] | None = field(default=None, metadata=LATER)
    """Choices of K of this unit's layers, some of the space's; null: all of them."""
    expansion_ratios: tuple[Choice, ...] | None = field(default=None, metadata=LATER)
    """Choices of E of this unit's layers, some of the space's; null: all of them."""

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
