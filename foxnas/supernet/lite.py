"""EfficientNet-Lite: the published networks' names for our tensors.

EfficientNet-Lite (Tan, 2020) is EfficientNet without squeeze-and-excitation, with ReLU6, and a stem and a head of fixed
width. The names are those of `efficientnet_lite_pytorch`, whose weights are TensorFlow's. A space's largest subnet is
the network, so that importing is renaming; where a space has a larger kernel, it has the donor's in its centre.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from foxnas.errors import FoxnasError
from foxnas.space.layers import SEPARABLE
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.renaming import differences, refuse_differences, renamed

#: What the architecture fixes; a space that says otherwise would give the same weights another meaning.
_MEANING = {
    "padding": "same",
    "stem_stride": 2,
    "stem_activation": "relu6",
    "first_activation": "relu6",
    "first_residual": False,
    "head_activation": "relu6",
    "mix_width": 0,
    "normalisation": "lite",
    "image_channels": 3,
    "kernel_transforms": False,
    "batch_norm_eps": 1e-3,
}
_UNIT_MEANING = {
    "stride": (2, 2, 2, 1, 2, 1),
    "types": ((SEPARABLE, SEPARABLE),) * 6,
    "activation": ("relu6",) * 6,
}

#: Our prefix and theirs, outside the blocks.
_ENDS = {
    "stem.": "_conv_stem.",
    "stem_norm.": "_bn0.",
    "head.": "_conv_head.",
    "head_norm.": "_bn1.",
    "classifier.": "_fc.",
}
#: The same within a block; theirs are numbered through the whole network.
_BLOCK = {
    "expand.": "_expand_conv.",
    "expand_norm.": "_bn0.",
    "depthwise.": "_depthwise_conv.",
    "depthwise_norm.": "_bn1.",
    "project.": "_project_conv.",
    "project_norm.": "_bn2.",
}


def is_lite(names: Mapping[str, Tensor]) -> bool:
    """Whether tensors are named as in EfficientNet-Lite."""
    return "_conv_stem.weight" in names and not any("._se_reduce." in name for name in names)


def names_of(space: SearchSpace) -> dict[str, str]:
    """Return EfficientNet-Lite's name of every tensor of our supernet, in our order, running statistics included.

    Raises FoxnasError when the space is not of EfficientNet-Lite, and says where it differs.
    """
    refuse_differences(space, "EfficientNet-Lite", "lite0", "the network", differences(space, _MEANING, _UNIT_MEANING))
    with torch.device("meta"):
        ours = Supernet(space, statistics=True).state_dict()
    return {name: _theirs(name, space) for name in ours}


def from_lite(space: SearchSpace, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of ours; tensors whose names nothing corresponds to keep them.

    Raises FoxnasError when the space's largest subnet has other layers than the network.
    """
    names = names_of(space)
    _check_layers(space, tensors)
    back = {theirs: ours for ours, theirs in names.items()}
    kernels = dict(enumerate([3, *(k for unit in space.largest(space.image_sizes[0]).units for k, _ in unit)]))
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        if found := re.fullmatch(r"_blocks\.(\d+)\._depthwise_conv\.weight", name):
            tensor = _in_the_centre(tensor, kernels.get(int(found[1]), 0))
        renamed[back.get(name, name)] = tensor
    return renamed


def _in_the_centre(weight: Tensor, kernel: int) -> Tensor:
    """Return a depthwise kernel with zeros around it, where a larger one is wanted; SAME padding keeps its meaning."""
    return F.pad(weight, ((kernel - weight.shape[-1]) // 2,) * 4) if kernel > weight.shape[-1] else weight


def _theirs(name: str, space: SearchSpace) -> str:
    if found := re.fullmatch(r"first\.(.*)", name):
        return "_blocks.0." + renamed(found[1], _BLOCK)
    if found := re.fullmatch(r"units\.(\d+)\.(\d+)\.(.*)", name):
        before = sum(choices.depths[-1] for choices in space.choices[: int(found[1])])
        return f"_blocks.{1 + before + int(found[2])}." + renamed(found[3], _BLOCK)
    return renamed(name, _ENDS)


def _check_layers(space: SearchSpace, tensors: Mapping[str, Tensor]) -> None:
    """Raise FoxnasError when the network's layers, as its tensors tell them, are not the space's largest ones."""
    theirs: list[tuple[int, int]] = []
    for number in range(1, len(tensors)):
        if (weight := tensors.get(f"_blocks.{number}._project_conv.weight")) is None:
            break
        theirs.append((len(weight), weight.shape[1]))
    ours = [
        (space.units[unit].width, space.block(unit, layer).in_width * choices.expansion_ratios[-1])
        for unit, choices in enumerate(space.choices)
        for layer in range(choices.depths[-1])
    ]
    if theirs != ours:
        raise FoxnasError(
            f"the checkpoint's EfficientNet-Lite is not the largest subnet of space {space.name}: its units have "
            f"{_told(theirs)}, the space's at most "
            f"{_told(ours)}; lite0 and lite1 are the spaces of EfficientNet-Lite0 and -Lite1, and a base to declare "
            "others on"
        )


def _told(layers: list[tuple[int, int]]) -> str:
    """Say how many layers of which output width follow each other, and their widest expansion."""
    counts: list[list[int]] = []
    for width, _ in layers:
        if not counts or counts[-1][0] != width:
            counts.append([width, 0])
        counts[-1][1] += 1
    widest = max((hidden for _, hidden in layers), default=0)
    return f"{', '.join(f'{n} of width {width}' for width, n in counts)} (up to {widest} channels within)"
