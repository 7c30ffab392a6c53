"""The search space."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from foxnas.config.section import Count, Name, Section
from foxnas.space import SearchSpace, UnitSpec


class UnitConfig(Section):
    """One unit of the space."""

    width: Count
    """Output channels of every layer of the unit."""
    stride: Literal[1, 2]
    """Stride of the unit's first layer."""
    type: Literal[1, 2]
    """1: separable inverted bottleneck with squeeze-and-excitation; 2: the same without."""


class SpaceConfig(Section):
    """The search space: what a subnet may look like."""

    name: Name
    """Names the folder under results/."""
    image_sizes: list[Count]
    """Input sizes, in pixels, ascending."""
    kernel_sizes: list[Count]
    """Choices of K for every layer."""
    expansion_ratios: list[Count]
    """Choices of E for every layer."""
    depths: list[Count]
    """Choices of D, the number of layers of a unit, for every unit."""
    stem_width: Count
    """Output channels of the stem convolution and of the separable block after it."""
    stem_stride: Literal[1, 2]
    """Stride of the stem convolution."""
    units: list[UnitConfig]
    """The searchable units, from input to output."""
    head_width: Count
    """Output channels of the 1x1 convolution before global average pooling."""
    image_channels: Count
    """1 for grey, 3 for colour."""
    classes: Annotated[int, Field(ge=2)]
    """Number of classes."""
    kernel_transforms: bool
    """false: a smaller kernel is the centre of the larger; true: and a learned linear map of it (Once-for-All)."""

    def build(self) -> SearchSpace:
        """Return the library's value. Raises FoxnasError when the choices contradict one another."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.model_dump().items()}
        fields["units"] = tuple(UnitSpec(**unit) for unit in fields["units"])
        return SearchSpace(**fields)
