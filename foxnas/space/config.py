"""The search space: a declaration, and the ones that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, Strict, ValidationError

from foxnas.errors import FoxnasError
from foxnas.section import Count, Section
from foxnas.space.layers import Activation, SqueezeExcite, UnitSpec
from foxnas.space.space import SearchSpace

#: The declarations that are shipped, one file each.
FOLDER = Path(__file__).parent / "shipped"

SpaceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class SpaceConfig(Section):
    """The search space: what a subnet may look like."""

    name: SpaceName
    """Names the folder under results/."""
    image_sizes: list[Count]
    """Input sizes, in pixels, ascending."""
    size_divisor: Count = 1
    """What every image size must be a multiple of; 1: any size."""
    kernel_sizes: list[Count]
    """Choices of K for every layer."""
    expansion_ratios: list[Count]
    """Choices of E for every layer."""
    depths: list[Count]
    """Choices of D, the number of layers of a unit, for every unit."""
    padding: Literal["same", "symmetric"] = "same"
    """same: TFLite's SAME; symmetric: K // 2 on every side, as in PyTorch and Once-for-All."""
    stem_width: Count
    """Output channels of the stem convolution and of the separable block after it."""
    stem_stride: Literal[1, 2]
    """Stride of the stem convolution."""
    stem_activation: Activation = "relu6"
    """After the stem convolution."""
    first_activation: Activation = "relu6"
    """Inside the separable block after the stem."""
    first_residual: bool = True
    """Whether that block adds its input."""
    units: Annotated[tuple[UnitSpec, ...], Strict(False)]
    """The searchable units, from input to output."""
    squeeze: SqueezeExcite = SqueezeExcite()
    """Inside of the squeeze-and-excitation gates."""
    head_width: Count
    """Output channels of the 1x1 convolution before global average pooling."""
    head_activation: Activation = "relu6"
    """After that convolution, and after the one below."""
    mix_width: Annotated[int, Field(ge=0)] = 0
    """Output channels of a 1x1 convolution between pooling and classifier (MobileNetV3); 0: none."""
    normalisation: Literal["none", "imagenet"] = "none"
    """none: pixels in [0, 1]; imagenet: less ImageNet's mean, over its deviation (what published weights expect)."""
    image_channels: Count
    """1 for grey, 3 for colour."""
    classes: Annotated[int, Field(ge=2)]
    """Number of classes."""
    kernel_transforms: bool = False
    """false: a smaller kernel is the centre of the larger; true: and a learned linear map of it (Once-for-All)."""

    def build(self) -> SearchSpace:
        """Return the library's value. Raises FoxnasError when the choices contradict one another."""
        return SearchSpace.from_record(self.model_dump())


def complete(declared: object) -> object:
    """Return the declaration of a name or a path, or a mapping with what its `base` says of the missing keys.

    Raises FoxnasError when the name or the file does not exist.
    """
    if isinstance(declared, str):
        return _declaration(declared)
    if isinstance(declared, Mapping) and "base" in declared:
        base = _declaration(declared["base"])
        return {**base, **{key: value for key, value in declared.items() if key != "base"}}
    return declared


def shipped_spaces() -> list[str]:
    """Names of the shipped declarations."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_space(name: str) -> SearchSpace:
    """Return a shipped space by its name, or one of a user's file by its path. Raises FoxnasError."""
    try:
        return SpaceConfig.model_validate(_declaration(name)).build()
    except ValidationError as error:
        first = error.errors()[0]
        raise FoxnasError(f"space {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _declaration(name: object, above: tuple[object, ...] = ()) -> dict[str, Any]:
    if not isinstance(name, str):
        raise FoxnasError(f"{name!r} is not a space: give a name or a path")
    shipped = FOLDER / f"{name}.yaml"
    path = shipped if shipped.parent == FOLDER and shipped.is_file() else Path(name)
    try:
        value = yaml.safe_load(path.read_text())
    except OSError as error:
        raise FoxnasError(
            f"space {name!r} is neither shipped ({', '.join(shipped_spaces())}) nor a file: {error.strerror}"
        ) from error
    except yaml.YAMLError as error:
        raise FoxnasError(f"space {path}: is not YAML: {error}") from error
    if not isinstance(value, dict):
        raise FoxnasError(f"space {path}: expected keys and values, found {type(value).__name__}")
    if "base" not in value:
        return value
    if value["base"] in (*above, name):
        raise FoxnasError(f"space {path}: its base leads back to itself; break the circle")
    base = _declaration(value["base"], (*above, name))
    return {**base, **{key: entry for key, entry in value.items() if key != "base"}}


#: The config's `space`: a complete section, a section with a `base`, a name, or a path.
DeclaredSpace = Annotated[
    SpaceConfig, BeforeValidator(complete, json_schema_input_type=SpaceConfig | dict[str, Any] | str)
]
