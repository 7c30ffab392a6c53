"""Which subnets there are, how many, and how to draw one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch, Layer, draw_unit
from foxnas.space.layers import FUSED, SEPARABLE, Activation, BlockSpec, Normalisation, Padding, SqueezeExcite, UnitSpec


@dataclass(frozen=True)
class SearchSpace:
    """A family of subnets that share one supernet's weights.

    Parameters
    ----------
    name
        Names its folder under ``results/``.
    image_sizes, kernel_sizes, expansion_ratios, depths
        The choices of each knob, ascending.
    stem_width, stem_stride, stem_activation
        The 3x3 stem convolution.
    first_activation, first_residual
        The separable 3x3 block after it, of the same width and without expansion.
    units
        The searchable part.
    head_width, head_activation
        The 1x1 convolution before global average pooling.
    mix_width
        Width of a second 1x1 convolution, after the pooling, with the same activation and neither batch norm
        nor bias (MobileNetV3); 0: the classifier follows at once.
    image_channels, classes
        Shape of the input's last axis and of the logits.
    kernel_transforms
        Smaller kernels are learned linear maps of the larger one's centre (Once-for-All), not the centre itself.
    padding
        "same": TFLite's SAME; "symmetric": K // 2 on every side (PyTorch, Once-for-All). The two differ where
        stride 2 meets an even size.
    squeeze
        Width and activation inside a squeeze-and-excitation gate.
    size_divisor
        What every image size must be a multiple of; 1: any size will do.
    normalisation
        "none": the network reads pixels in [0, 1]; "imagenet": it takes ImageNet's mean from them first, and divides
        by its deviation.
    """

    name: str
    image_sizes: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    expansion_ratios: tuple[int, ...]
    depths: tuple[int, ...]
    stem_width: int
    stem_stride: int
    units: tuple[UnitSpec, ...]
    head_width: int
    image_channels: int
    classes: int
    kernel_transforms: bool = False
    padding: Padding = "same"
    stem_activation: Activation = "relu6"
    first_activation: Activation = "relu6"
    first_residual: bool = True
    head_activation: Activation = "relu6"
    mix_width: int = 0
    squeeze: SqueezeExcite = field(default_factory=SqueezeExcite)
    size_divisor: int = 1
    normalisation: Normalisation = "none"

    def __post_init__(self) -> None:
        for knob in ("image_sizes", "kernel_sizes", "expansion_ratios", "depths"):
            choices = getattr(self, knob)
            if not choices or list(choices) != sorted(set(choices)) or choices[0] < 1:
                raise FoxnasError(
                    f"space {self.name}: {knob} {list(choices)} must be ascending positive integers without repeats"
                )
        if any(k % 2 == 0 for k in self.kernel_sizes):
            raise FoxnasError(f"space {self.name}: kernel_sizes {list(self.kernel_sizes)} must be odd")
        if self.depths[0] < 2:
            raise FoxnasError(
                f"space {self.name}: depths start at 2, because a unit's averages run over its layers after the first"
            )
        if not self.units:
            raise FoxnasError(f"space {self.name}: units is empty")
        if any(FUSED in unit.types for unit in self.units) and self.kernel_sizes != (3,):
            raise FoxnasError(
                f"space {self.name}: fused units (type 3) are 3x3 convolutions, so kernel_sizes must be [3], "
                f"not {list(self.kernel_sizes)}"
            )
        if self.normalisation == "imagenet" and self.image_channels != 3:
            raise FoxnasError(
                f"space {self.name}: normalisation imagenet is of 3 image_channels, not {self.image_channels}"
            )
        for size in self.image_sizes:
            if size % self.size_divisor:
                below = size // self.size_divisor * self.size_divisor
                near = [n for n in (below, below + self.size_divisor) if n]
                raise FoxnasError(
                    f"space {self.name}: image size {size} is not a multiple of size_divisor {self.size_divisor}, "
                    f"as every size of this space must be; take {' or '.join(map(str, near))}"
                )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SearchSpace:
        """Inverse of `record`; a key that an older record lacks has its default.

        Raises FoxnasError when it is the record of something else.
        """
        try:
            fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
            fields["units"] = tuple(UnitSpec(**unit) for unit in fields["units"])
            fields["squeeze"] = SqueezeExcite(**fields.get("squeeze", {}))
            return cls(**fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise FoxnasError(f"this is no description of a space: {error}") from error

    def record(self) -> dict[str, Any]:
        """Return this space as plain values."""
        return asdict(self)

    def first_block(self) -> BlockSpec:
        """Return the 3x3 separable block after the stem, which has no expansion."""
        width = self.stem_width
        return BlockSpec(width, width, 1, SEPARABLE, self.first_activation, self.first_residual)

    def block(self, unit: int, layer: int) -> BlockSpec:
        """Return a layer of a unit; both count from 0."""
        spec = self.units[unit]
        if layer:
            return BlockSpec(spec.width, spec.width, 1, spec.type, spec.activation, True)
        before = self.units[unit - 1].width if unit else self.stem_width
        residual = spec.stride == 1 and before == spec.width
        return BlockSpec(before, spec.width, spec.stride, spec.types[0], spec.activation, residual)

    def count(self) -> int:
        """Exact number of architectures, image sizes included (4.1e22 for the paper's CPU space)."""
        layer = len(self.kernel_sizes) * len(self.expansion_ratios)
        return len(self.image_sizes) * sum(layer**d for d in self.depths) ** len(self.units)

    def layers(self) -> tuple[Layer, ...]:
        """Every (K, E) a layer may take."""
        return tuple(product(self.kernel_sizes, self.expansion_ratios))

    def validate(self, arch: Arch) -> Arch:
        """Return `arch`, or raise FoxnasError naming the first knob that lies outside this space."""
        if arch.image_size not in self.image_sizes:
            raise FoxnasError(
                f"{arch.text}: image size {arch.image_size} is not one of {list(self.image_sizes)} in space {self.name}"
            )
        if len(arch.units) != len(self.units):
            raise FoxnasError(f"{arch.text}: has {len(arch.units)} units, space {self.name} has {len(self.units)}")
        for u, unit in enumerate(arch.units, 1):
            if len(unit) not in self.depths:
                raise FoxnasError(f"{arch.text}: depth {len(unit)} of unit {u} is not one of {list(self.depths)}")
            for k, e in unit:
                if k not in self.kernel_sizes or e not in self.expansion_ratios:
                    raise FoxnasError(
                        f"{arch.text}: layer k{k}e{e} of unit {u} is outside "
                        f"K {list(self.kernel_sizes)}, E {list(self.expansion_ratios)}"
                    )
        return arch

    def parse(self, text: str) -> Arch:
        """Parse and validate. Raises FoxnasError."""
        return self.validate(Arch.parse(text))

    def largest(self, image_size: int) -> Arch:
        """The subnet with every knob at its largest."""
        layer = (self.kernel_sizes[-1], self.expansion_ratios[-1])
        return Arch(image_size, ((layer,) * self.depths[-1],) * len(self.units))

    def smallest(self, image_size: int) -> Arch:
        """The subnet with every knob at its smallest."""
        layer = (self.kernel_sizes[0], self.expansion_ratios[0])
        return Arch(image_size, ((layer,) * self.depths[0],) * len(self.units))

    def draw(self, image_size: int, rng: np.random.Generator) -> Arch:
        """Draw one subnet of an image size, uniformly over knobs, units independent."""
        choices = (self.depths, self.kernel_sizes, self.expansion_ratios)
        return Arch(image_size, tuple(draw_unit(*choices, rng) for _ in self.units))

    def sample(self, image_size: int, rng: np.random.Generator) -> Iterator[Arch]:
        """Yield subnets of an image size without repeats; the first n do not depend on how many are taken.

        Raises FoxnasError when 1,000 draws in a row bring nothing new (a tiny space is exhausted).
        """
        seen: set[Arch] = set()
        misses = 0
        while misses < 1000:
            arch = self.draw(image_size, rng)
            if arch in seen:
                misses += 1
                continue
            misses = 0
            seen.add(arch)
            yield arch
        raise FoxnasError(
            f"space {self.name} at {image_size} px ran out of new subnets after "
            f"{len(seen)}: 1,000 draws in a row were repeats"
        )

    def neighbours(self, arch: Arch) -> Iterator[Arch]:
        """Yield every subnet that differs from `arch` in one knob of one place.

        One layer's K or E, one unit's depth (the last layer dropped, or repeated), or the image size.
        """
        for size in self.image_sizes:
            if size != arch.image_size:
                yield Arch(size, arch.units)
        for u, unit in enumerate(arch.units):
            if len(unit) - 1 in self.depths:
                yield arch.with_unit(u, unit[:-1])
            if len(unit) + 1 in self.depths:
                yield arch.with_unit(u, (*unit, unit[-1]))
            for i, (k, e) in enumerate(unit):
                for other in self.kernel_sizes:
                    if other != k:
                        yield arch.with_layer(u, i, (other, e))
                for other in self.expansion_ratios:
                    if other != e:
                        yield arch.with_layer(u, i, (k, other))
