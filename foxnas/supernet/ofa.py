"""Once-for-All's MobileNetV3 supernets: their names for our tensors.

The networks are those of Cai et al., *Once-for-All: Train One Network and Specialize it for Efficient Deployment*
(ICLR 2020), as the package `ofa` builds them: `OFAMobileNetV3`. Slices over E and D, the chain of kernel transforms
(7 to 5 to 3), the rounding of squeeze-and-excitation widths and the running statistics are in our supernet what they
are in theirs, so that importing and exporting is renaming.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import torch
from torch import Tensor

from foxnas.errors import FoxnasError
from foxnas.space.layers import SEPARABLE, SQUEEZE_EXCITE, SqueezeExcite
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.renaming import differences, refuse_differences, renamed

#: What the architecture fixes; a space that says otherwise would give the same weights another meaning.
_MEANING = {
    "padding": "symmetric",
    "stem_stride": 2,
    "stem_activation": "h-swish",
    "first_activation": "relu",
    "first_width": 0,
    "first_residual": True,
    "head_activation": "h-swish",
    "squeeze": SqueezeExcite(reduction=4, divisor=8, minimum=8, activation="relu"),
    "kernel_transforms": True,
    "image_channels": 3,
    "batch_norm_eps": 1e-5,
}
_UNIT_MEANING = {
    "stride": (2, 2, 2, 1, 2),
    "types": tuple((t, t) for t in (SEPARABLE, SQUEEZE_EXCITE, SEPARABLE, SQUEEZE_EXCITE, SQUEEZE_EXCITE)),
    "activation": ("relu", "relu", "h-swish", "h-swish", "h-swish"),
    # Its own choices are those of all units.
    "depths": (None,) * 5,
    "kernel_sizes": (None,) * 5,
    "expansion_ratios": (None,) * 5,
}

#: Our prefix and theirs, outside the units.
_ENDS = {
    "stem.": "first_conv.conv.",
    "stem_norm.": "first_conv.bn.",
    "first.depthwise.": "blocks.0.conv.depth_conv.conv.",
    "first.depthwise_norm.": "blocks.0.conv.depth_conv.bn.",
    "first.project.": "blocks.0.conv.point_linear.conv.",
    "first.project_norm.": "blocks.0.conv.point_linear.bn.",
    "head.": "final_expand_layer.conv.",
    "head_norm.": "final_expand_layer.bn.",
    "mix.": "feature_mix_layer.conv.",
    "classifier.": "classifier.linear.",
}
#: The same within a layer of a unit; theirs are numbered through all units.
_LAYER = {
    "expand.": "inverted_bottleneck.conv.conv.",
    "expand_norm.": "inverted_bottleneck.bn.bn.",
    "depthwise.weight": "depth_conv.conv.conv.weight",
    "depthwise_norm.": "depth_conv.bn.bn.",
    "gate.": "depth_conv.se.fc.",
    "project.": "point_linear.conv.conv.",
    "project_norm.": "point_linear.bn.bn.",
}

#: What releases of the package wrote in one of two ways; its own `load_state_dict` reads both.
_SPELLINGS = ((".bn.bn.", ".bn."), (".conv.conv.weight", ".conv.weight"), (".linear.linear.", ".linear."))


def is_ofa(names: Mapping[str, Tensor]) -> bool:
    """Whether tensors are named as in Once-for-All's MobileNetV3."""
    return any(name.removeprefix("module.").startswith("first_conv.") for name in names)


@cache
def names_of(space: SearchSpace) -> Mapping[str, str]:
    """Return Once-for-All's name of every tensor of our supernet, in our order, running statistics included.

    Raises FoxnasError when the space is not of Once-for-All's MobileNetV3, and says where it differs.
    """
    _check_meaning(space)
    with torch.device("meta"):
        ours = Supernet(space, statistics=True).state_dict()
    return {name: _theirs(name, space) for name in ours}


def from_ofa(space: SearchSpace, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of ours; tensors whose names nothing corresponds to keep them.

    Spellings of older releases are understood. Counts of training batches, which nothing reads, are dropped.
    """
    if not any("final_expand_layer." in name or ".se." in name for name in tensors):
        raise FoxnasError(
            "the checkpoint is of Once-for-All's ProxylessNAS or MobileNetV2 (it has neither a final_expand_layer nor "
            "squeeze-and-excitation); of Once-for-All, its MobileNetV3 is known"
        )
    back = {theirs: ours for ours, theirs in names_of(space).items()}
    renamed = {}
    for name, tensor in tensors.items():
        if not name.endswith("num_batches_tracked"):
            known = next((spelt for spelt in _spellings(name) if spelt in back), "")
            renamed[back.get(known, name)] = tensor
    return renamed


def _spellings(name: str) -> Iterator[str]:
    """Yield what the present release may call a tensor of a checkpoint."""
    name = name.removeprefix("module.").replace(".mobile_inverted_conv.", ".conv.")
    yield name
    for twice, once in _SPELLINGS:
        yield name.replace(twice, once)
        yield name.replace(once, twice)


def to_ofa(supernet: Supernet) -> dict[str, Tensor]:
    """Return the state dict that `OFAMobileNetV3.load_state_dict` reads.

    Raises FoxnasError when the space is not Once-for-All's. Where the supernet holds no running statistics, theirs are
    those of a fresh batch norm.
    """
    names = names_of(supernet.space)
    ours = supernet.state_dict()
    exported: dict[str, Tensor] = {}
    for name, theirs in names.items():
        like = ours.get(name, ours[re.sub(r"running_(mean|var)$", "bias", name)])
        fresh = torch.ones_like if name.endswith("running_var") else torch.zeros_like
        exported[theirs] = (ours[name] if name in ours else fresh(like)).clone()
        if name.endswith("running_var"):
            exported[theirs.replace("running_var", "num_batches_tracked")] = torch.zeros((), dtype=torch.long)
    return exported


def _theirs(name: str, space: SearchSpace) -> str:
    if found := re.fullmatch(r"units\.(\d+)\.(\d+)\.(.*)", name):
        unit, layer, rest = int(found[1]), int(found[2]), found[3]
        before = f"blocks.{1 + unit * space.depths[-1] + layer}.conv."
        if step := re.fullmatch(r"depthwise\.steps\.(\d+)", rest):
            smaller = int(step[1])
            larger = space.kernel_sizes[space.kernel_sizes.index(smaller) + 1]
            return f"{before}depth_conv.conv.{larger}to{smaller}_matrix"
        return before + renamed(rest, _LAYER)
    return renamed(name, _ENDS)


def _check_meaning(space: SearchSpace) -> None:
    wrong = differences(space, _MEANING, _UNIT_MEANING)
    if not space.mix_width:
        wrong.append(("mix_width", 0, "the width of the feature mix layer"))
    refuse_differences(space, "Once-for-All's MobileNetV3", "ofa_mbv3_d234_e346_k357_w1.0", "its supernet", wrong)
