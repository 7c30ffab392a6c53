"""Small spaces in which every kind of block, padding, activation and end occurs, at even and odd sizes."""

from itertools import cycle, islice

from foxnas.space.arch import Arch
from foxnas.space.layers import SqueezeExcite, UnitSpec
from foxnas.space.space import SearchSpace

#: As the Edge TPU space: fused units, fused transitions, no residual in the first block, two convolutions in the head.
FUSED = SearchSpace(
    name="fused",
    image_sizes=(32, 33),
    kernel_sizes=(3,),
    expansion_ratios=(2, 4),
    depths=(2, 3),
    stem_width=6,
    stem_stride=2,
    units=(UnitSpec(8, 2, 3), UnitSpec(8, 1, 3, "relu"), UnitSpec(12, 2, 2, "relu6", 3), UnitSpec(12, 1, 2)),
    head_width=24,
    image_channels=3,
    classes=7,
    first_residual=False,
    mix_width=20,
)

#: Fused units with symmetric padding and h-swish, an expansion ratio of 1, a gate whose rule is the paper's.
FUSED_SYMMETRIC = SearchSpace(
    name="fused-symmetric",
    image_sizes=(32, 33),
    kernel_sizes=(3,),
    expansion_ratios=(1, 2),
    depths=(2, 3),
    stem_width=6,
    stem_stride=2,
    units=(UnitSpec(8, 2, 3, "h-swish"), UnitSpec(8, 1, 1), UnitSpec(12, 2, 1, "relu", 3)),
    head_width=24,
    image_channels=1,
    classes=7,
    padding="symmetric",
)

#: As Once-for-All's: every K with transforms, symmetric padding, ReLU and h-swish by unit, ImageNet's normalisation.
OFA_LIKE = SearchSpace(
    name="ofa-like",
    image_sizes=(32, 33, 39),
    kernel_sizes=(3, 5, 7),
    expansion_ratios=(3, 4),
    depths=(2, 3),
    stem_width=8,
    stem_stride=2,
    units=(
        UnitSpec(8, 2, 2, "relu"),
        UnitSpec(16, 2, 1, "relu"),
        UnitSpec(16, 2, 2, "h-swish"),
        UnitSpec(24, 1, 1, "h-swish"),
    ),
    head_width=32,
    image_channels=3,
    classes=7,
    kernel_transforms=True,
    padding="symmetric",
    stem_activation="h-swish",
    first_activation="relu",
    head_activation="h-swish",
    mix_width=40,
    squeeze=SqueezeExcite(4, 8, 8, "relu"),
    normalisation="imagenet",
)

#: As the paper's CPU space: every K and E of it, with and without a gate, SAME padding.
CPU_LIKE = SearchSpace(
    name="cpu-like",
    image_sizes=(32, 33),
    kernel_sizes=(3, 5, 7),
    expansion_ratios=(2, 3, 4, 6),
    depths=(2, 3, 4),
    stem_width=6,
    stem_stride=2,
    units=(UnitSpec(8, 2, 2), UnitSpec(8, 2, 1), UnitSpec(12, 1, 2), UnitSpec(12, 2, 1)),
    head_width=24,
    image_channels=3,
    classes=7,
)

#: Choices by unit: fused beside separable with K in {3, 5}, one layer or up to three, no expansion in one unit only.
#: As EfficientNet-Lite, a narrow first block, an epsilon and a normalisation of its own.
PER_UNIT = SearchSpace(
    name="per-unit",
    image_sizes=(32, 33),
    kernel_sizes=(3, 5),
    expansion_ratios=(1, 2, 4),
    depths=(1, 2, 3),
    stem_width=8,
    stem_stride=2,
    first_width=6,
    first_residual=False,
    units=(
        UnitSpec(8, 2, 3, depths=(1, 2), kernel_sizes=(3,), expansion_ratios=(2, 4)),
        UnitSpec(12, 2, 1),
        UnitSpec(12, 1, 2, depths=(2,), expansion_ratios=(1,)),
        UnitSpec(16, 2, 2, depths=(1,), kernel_sizes=(5,)),
    ),
    head_width=24,
    image_channels=3,
    classes=7,
    normalisation="lite",
    batch_norm_eps=1e-3,
)

#: Every space at every size.
SPACES = (FUSED, FUSED_SYMMETRIC, OFA_LIKE, CPU_LIKE, PER_UNIT)
KINDS = [(space, size) for space in SPACES for size in space.image_sizes]


def every_layer(space: SearchSpace, size: int) -> Arch:
    """A subnet in which every (K, E) of units with the same choices occurs, in their first layers and after them."""
    layers = {choices: cycle(choices.layers()) for choices in space.choices}
    return space.validate(Arch(size, tuple(tuple(islice(layers[c], c.depths[-1])) for c in space.choices)))
