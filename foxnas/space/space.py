"""Which subnets there are, how many, and how to draw one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.settings.limits import LONGEST_NAME, Count, Flag, Index, Limits, Settings, Text, Whole
from foxnas.space.arch import Arch, Layer, draw_unit
from foxnas.space.layers import FUSED, SEPARABLE, Activation, BlockSpec, Normalisation, Padding, SqueezeExcite, UnitSpec

SpaceName = Annotated[Text, Limits(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=LONGEST_NAME)]
_SQUEEZE = SqueezeExcite()


@dataclass(frozen=True, kw_only=True)
class SearchSpace(Settings):
    """The search space: what a subnet may look like."""

    name: SpaceName
    """Names the folder under results/."""
    image_sizes: tuple[Count, ...]
    """Input sizes, in pixels, ascending."""
    size_divisor: Count = 1
    """What every image size must be a multiple of; 1: any size."""
    kernel_sizes: tuple[Count, ...]
    """Choices of K for every layer."""
    expansion_ratios: tuple[Count, ...]
    """Choices of E for every layer."""
    depths: tuple[Count, ...]
    """Choices of D, the number of layers of a unit, for every unit."""
    padding: Padding = "same"
    """same: TFLite's SAME; symmetric: K // 2 on every side, as in PyTorch and Once-for-All."""
    stem_width: Count
    """Output channels of the stem convolution and of the separable block after it."""
    stem_stride: Literal[1, 2]
    """Stride of the stem convolution."""
    stem_activation: Activation = "relu6"
    """After the stem convolution."""
    first_activation: Activation = "relu6"
    """Inside the separable block after the stem."""
    first_residual: Flag = True
    """Whether that block adds its input."""
    units: tuple[UnitSpec, ...]
    """The searchable units, from input to output."""
    squeeze: SqueezeExcite = _SQUEEZE
    """Inside of the squeeze-and-excitation gates."""
    head_width: Count
    """Output channels of the 1x1 convolution before global average pooling."""
    head_activation: Activation = "relu6"
    """After that convolution, and after the one below."""
    mix_width: Index = 0
    """Output channels of a 1x1 convolution between pooling and classifier (MobileNetV3); 0: none."""
    normalisation: Normalisation = "none"
    """none: pixels in [0, 1]; imagenet: less ImageNet's mean, over its deviation (what published weights expect)."""
    image_channels: Count
    """1 for grey, 3 for colour."""
    classes: Annotated[Whole, Limits(ge=2)]
    """Number of classes."""
    kernel_transforms: Flag = False
    """false: a smaller kernel is the centre of the larger; true: and a learned linear map of it (Once-for-All)."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
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
    def from_record(cls, record: Mapping[str, Any], whose: str = "this is no description of a space") -> SearchSpace:
        """Inverse of `record`; a key that an older record lacks has its default.

        Raises FoxnasError, which begins with `whose`, when it is the record of something else.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(record)
        except ValidationError as error:
            first = error.errors()[0]
            if "error" in (context := first.get("ctx", {})):  # a contradiction, which names the space
                raise context["error"] from error
            unknown = first["type"] == "unexpected_keyword_argument"
            said = "Extra inputs are not permitted" if unknown else first["msg"]
            key = ".".join(map(str, first["loc"]))
            raise FoxnasError(": ".join(filter(None, [whose, key, said]))) from error

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
