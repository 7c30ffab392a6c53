"""Order of the channels inside a supernet's layers: a smaller expansion ratio keeps the first of them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from foxnas.supernet.elastic import ElasticBlock
from foxnas.supernet.model import Supernet

#: Images that the order is taken from: one batch of the largest subnet.
SORTING_IMAGES = 128


@torch.no_grad()
def sort_channels(supernet: Supernet, images: Tensor) -> None:
    """Sort the channels inside every elastic layer, in place: first those that do most for its output.

    What a channel does is measured on calibration images that the largest subnet sees: the deviation of what the
    projection reads of it, times the norm of its weights in the projection. The function of the largest subnet stays
    what it is.

    Parameters
    ----------
    images
        (N, channels, H, W) in [0, 1].
    """
    layers = [layer for unit in supernet.space.largest(images.shape[-1]).units for layer in unit]
    blocks = [cast(ElasticBlock, block) for unit in supernet.units for block in cast(nn.ModuleList, unit)]
    x = supernet.beginning(images)
    for block, (kernel, expansion) in zip(blocks, layers, strict=True):
        # Without an expansion, a layer's channels are its input's.
        if hasattr(block, "expand"):
            within = block.within(x, kernel, expansion)
            does = within.std((0, 2, 3)) * block.project.weight[:, :, 0, 0].norm(dim=0)
            _reorder(block, does.argsort(descending=True, stable=True))
        x = block(x, kernel, expansion)


def _reorder(block: ElasticBlock, order: Tensor) -> None:
    """Give the hidden channels of a block another order; its function stays what it is."""
    parts: list[tuple[Tensor | None, int]] = [(block.expand.weight, 0), (block.project.weight, 1)]
    norms = [block.expand_norm]
    if hasattr(block, "depthwise"):
        parts.append((block.depthwise.weight, 0))
        norms.append(block.depthwise_norm)
    for norm in norms:
        parts += [(values, 0) for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    if block.gate is not None:
        parts += [(block.gate.reduce.weight, 1), (block.gate.expand.weight, 0), (block.gate.expand.bias, 0)]
    for values, axis in parts:
        if values is not None:
            values.copy_(values.index_select(axis, order))
