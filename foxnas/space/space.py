"""Which subnets there are, how many, and how to draw one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.settings.limits import LATER, LONGEST_NAME, Above0, Flag, Limits, Settings, Text, Whole, plain
from foxnas.space.arch import Arch, Layer, draw_unit
from foxnas.space.layers import (
    FUSED,
    LARGEST,
    SEPARABLE,
    Activation,
    BlockSpec,
    Choice,
    Normalisation,
    Padding,
    Size,
    Size0,
    SqueezeExcite,
    UnitChoices,
    UnitSpec,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SpaceName = Annotated[Text, Limits(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=LONGEST_NAME)]
_SQUEEZE = SqueezeExcite()
_KNOBS = ("kernel_sizes", "expansion_ratios", "depths")


@dataclass(frozen=True, kw_only=True)
class SearchSpace(Settings):
    """The search space: what a subnet may look like."""

    name: SpaceName
    """Names the folder under results/."""
    image_sizes: tuple[Size, ...]
    """Input sizes, in pixels, ascending."""
    size_divisor: Size = 1
    """What every image size must be a multiple of; 1: any size."""
    kernel_sizes: tuple[Choice, ...]
    """Choices of K for every layer, but for units with their own."""
    expansion_ratios: tuple[Choice, ...]
    """Choices of E for every layer, but for units with their own."""
    depths: tuple[Choice, ...]
    """Choices of D, the number of layers of a unit, for every unit, but for those with their own."""
    padding: Padding = "same"
    """same: TFLite's SAME; symmetric: K // 2 on every side, as in PyTorch and Once-for-All."""
    stem_width: Size
    """Output channels of the stem convolution."""
    stem_stride: Literal[1, 2]
    """Stride of the stem convolution."""
    stem_activation: Activation = "relu6"
    """After the stem convolution."""
    first_width: Size0 = field(default=0, metadata=LATER)
    """Output channels of the separable block after the stem; 0: those of the stem."""
    first_activation: Activation = "relu6"
    """Inside that block."""
    first_residual: Flag = True
    """Whether that block adds its input."""
    units: tuple[UnitSpec, ...]
    """The searchable units, from input to output."""
    squeeze: SqueezeExcite = _SQUEEZE
    """Inside of the squeeze-and-excitation gates."""
    head_width: Size
    """Output channels of the 1x1 convolution before global average pooling."""
    head_activation: Activation = "relu6"
    """After that convolution, and after the one below."""
    mix_width: Size0 = 0
    """Output channels of a 1x1 convolution between pooling and classifier (MobileNetV3); 0: none."""
    normalisation: Normalisation = "none"
    """none: pixels in [0, 1]; imagenet: less ImageNet's mean, over its deviation (what published weights expect); lite:
    bytes less 127, over 128 (EfficientNet-Lite)."""
    image_channels: Size
    """1 for grey, 3 for colour."""
    classes: Annotated[Whole, Limits(ge=2, le=LARGEST)]
    """Number of classes."""
    kernel_transforms: Flag = False
    """false: a smaller kernel is the centre of the larger; true: and a learned linear map of it (Once-for-All)."""
    batch_norm_eps: Above0 = field(default=1e-5, metadata=LATER)
    """What batch norm adds to the variance: PyTorch has 1e-5, TensorFlow's EfficientNets 1e-3."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        for knob in ("image_sizes", *_KNOBS):
            self._check_choices(knob, getattr(self, knob))
        if any(k % 2 == 0 for k in self.kernel_sizes):
            raise FoxnasError(f"space {self.name}: kernel_sizes {list(self.kernel_sizes)} must be odd")
        if not self.units:
            raise FoxnasError(f"space {self.name}: units is empty")
        for place, unit in enumerate(self.units):
            self._check_own(place, unit)
        # A list of the space's own, written out, is no other space.
        spelt = [{k: None for k in _KNOBS if getattr(unit, k) == getattr(self, k)} for unit in self.units]
        units: list[UnitSpec] = [replace(unit, **{**own}) for unit, own in zip(self.units, spelt, strict=True)]  # type: ignore[arg-type]
        object.__setattr__(self, "units", tuple(units))
        for knob in _KNOBS:
            used = {choice for choices in self.choices for choice in getattr(choices, knob)}
            if unused := [choice for choice in getattr(self, knob) if choice not in used]:
                raise FoxnasError(
                    f"space {self.name}: {knob} has {unused[0]}, which none of its units has; leave it out, or add it "
                    "to a unit's own"
                )
        for unit, choices in zip(self.units, self.choices, strict=True):
            if FUSED in unit.types and choices.kernel_sizes != (3,):
                raise FoxnasError(
                    f"space {self.name}: fused units (type 3) are 3x3 convolutions, so kernel_sizes must be [3], "
                    f"not {list(choices.kernel_sizes)}; such a unit can have its own"
                )
        if self.first_residual and self.first_width not in (0, self.stem_width):
            raise FoxnasError(
                f"space {self.name}: the block after the stem makes {self.first_width} channels (first_width) of "
                f"{self.stem_width}, so it cannot add its input; write first_residual: false"
            )
        if self.normalisation != "none" and self.image_channels != 3:
            raise FoxnasError(
                f"space {self.name}: normalisation {self.normalisation} is of 3 image_channels, not "
                f"{self.image_channels}"
            )
        for size in self.image_sizes:
            if size % self.size_divisor:
                below = size // self.size_divisor * self.size_divisor
                near = [n for n in (below, below + self.size_divisor) if n]
                raise FoxnasError(
                    f"space {self.name}: image size {size} is not a multiple of size_divisor {self.size_divisor}, "
                    f"as every size of this space must be; take {' or '.join(map(str, near))}"
                )

    def _check_choices(self, knob: str, choices: tuple[int, ...]) -> None:
        if not choices or list(choices) != sorted(set(choices)) or choices[0] < 1:
            raise FoxnasError(
                f"space {self.name}: {knob} {list(choices)} must be ascending positive integers without repeats"
            )

    def _check_own(self, place: int, unit: UnitSpec) -> None:
        for knob in _KNOBS:
            own, whole = getattr(unit, knob), getattr(self, knob)
            if own is None:
                continue
            self._check_choices(f"units.{place}.{knob}", own)
            if other := [choice for choice in own if choice not in whole]:
                raise FoxnasError(
                    f"space {self.name}: units.{place}.{knob} has {other[0]}, which is not among the space's {knob} "
                    f"{list(whole)}; add it there"
                )

    @classmethod
    def from_record(cls, record: Mapping[str, Any], whose: str = "this is no description of a space") -> SearchSpace:
        """Inverse of `record`; a key that an older record lacks has its default.

        Raises FoxnasError, which begins with `whose`, when it is the record of something else.
        """
        from pydantic import ValidationError

        try:
            return _reader().validate_python(record)
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
        found: dict[str, Any] = plain(self)
        return found

    def first_block(self) -> BlockSpec:
        """Return the 3x3 separable block after the stem, which has no expansion."""
        width = self.first_width or self.stem_width
        return BlockSpec(self.stem_width, width, 1, SEPARABLE, self.first_activation, self.first_residual)

    def block(self, unit: int, layer: int) -> BlockSpec:
        """Return a layer of a unit; both count from 0."""
        spec = self.units[unit]
        if layer:
            return BlockSpec(spec.width, spec.width, 1, spec.type, spec.activation, True)
        before = self.units[unit - 1].width if unit else self.first_block().width
        residual = spec.stride == 1 and before == spec.width
        return BlockSpec(before, spec.width, spec.stride, spec.types[0], spec.activation, residual)

    def count(self) -> int:
        """Exact number of architectures, image sizes included (4.1e22 for the paper's CPU space)."""
        units = (sum(len(choices.layers()) ** d for d in choices.depths) for choices in self.choices)
        return len(self.image_sizes) * prod(units)

    @cached_property
    def choices(self) -> tuple[UnitChoices, ...]:
        """What each unit may look like."""
        return tuple(
            UnitChoices(
                unit.depths or self.depths,
                unit.kernel_sizes or self.kernel_sizes,
                unit.expansion_ratios or self.expansion_ratios,
            )
            for unit in self.units
        )

    @property
    def every_choice(self) -> UnitChoices:
        """The choices of all units together, and of each that has none of its own."""
        return UnitChoices(self.depths, self.kernel_sizes, self.expansion_ratios)

    def layers(self) -> tuple[Layer, ...]:
        """Every (K, E) a layer of some unit may take."""
        return self.every_choice.layers()

    def validate(self, arch: Arch) -> Arch:
        """Return `arch`, or raise FoxnasError naming the first knob that lies outside this space."""
        if arch.image_size not in self.image_sizes:
            raise FoxnasError(
                f"{arch.text}: image size {arch.image_size} is not one of {list(self.image_sizes)} in space {self.name}"
            )
        if len(arch.units) != len(self.units):
            raise FoxnasError(f"{arch.text}: has {len(arch.units)} units, space {self.name} has {len(self.units)}")
        for u, (unit, choices) in enumerate(zip(arch.units, self.choices, strict=True), 1):
            if len(unit) not in choices.depths:
                raise FoxnasError(f"{arch.text}: depth {len(unit)} of unit {u} is not one of {list(choices.depths)}")
            for k, e in unit:
                if k not in choices.kernel_sizes or e not in choices.expansion_ratios:
                    raise FoxnasError(
                        f"{arch.text}: layer k{k}e{e} of unit {u} is outside "
                        f"K {list(choices.kernel_sizes)}, E {list(choices.expansion_ratios)}"
                    )
        return arch

    def parse(self, text: str) -> Arch:
        """Parse and validate. Raises FoxnasError."""
        return self.validate(Arch.parse(text))

    def largest(self, image_size: int) -> Arch:
        """The subnet with every knob at its largest."""
        return Arch(image_size, tuple((c.layers()[-1],) * c.depths[-1] for c in self.choices))

    def smallest(self, image_size: int) -> Arch:
        """The subnet with every knob at its smallest."""
        return Arch(image_size, tuple((c.layers()[0],) * c.depths[0] for c in self.choices))

    def draw(self, image_size: int, rng: np.random.Generator) -> Arch:
        """Draw one subnet of an image size, uniformly over knobs, units independent."""
        units = (
            draw_unit((c.depths, None), (c.kernel_sizes, None), (c.expansion_ratios, None), rng) for c in self.choices
        )
        return Arch(image_size, tuple(units))

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
        for u, (unit, choices) in enumerate(zip(arch.units, self.choices, strict=True)):
            if len(unit) - 1 in choices.depths:
                yield arch.with_unit(u, unit[:-1])
            if len(unit) + 1 in choices.depths:
                yield arch.with_unit(u, (*unit, unit[-1]))
            for i, (k, e) in enumerate(unit):
                for other in choices.kernel_sizes:
                    if other != k:
                        yield arch.with_layer(u, i, (other, e))
                for other in choices.expansion_ratios:
                    if other != e:
                        yield arch.with_layer(u, i, (k, other))


@cache
def _reader() -> TypeAdapter[SearchSpace]:
    """Keep what reads records, since to make one takes longer than to read a config."""
    from pydantic import TypeAdapter

    return TypeAdapter(SearchSpace)
