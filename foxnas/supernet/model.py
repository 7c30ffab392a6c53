"""The supernet: every subnet of a space in one set of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space.arch import Arch
from foxnas.space.layers import PIXEL_STATISTICS
from foxnas.space.space import SearchSpace
from foxnas.supernet.elastic import ElasticBatchNorm, ElasticBlock, activate, conv_padded


def pixel_statistics(space: SearchSpace) -> tuple[Tensor, Tensor] | None:
    """Return mean and deviation of the pixels, (channels, 1, 1) each, or None where they are taken as they are."""
    if not (statistics := PIXEL_STATISTICS.get(space.normalisation)):
        return None
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in statistics)
    return mean, std


class Supernet(nn.Module):
    """Stem, one separable block, elastic units, 1x1 head, global average pooling, classifier.

    Forward takes images (N, channels, H, W) in [0, 1] and an architecture, uses the batch's own
    statistics in every batch norm, and returns logits (N, classes).

    Parameters
    ----------
    space
        The space.
    statistics
        Whether it holds running statistics of batch norm, as published checkpoints do. Only subnets that are
        not recalibrated use them.
    """

    def __init__(self, space: SearchSpace, statistics: bool = False) -> None:
        super().__init__()
        self.space = space
        width = space.stem_width
        self.stem = nn.Conv2d(space.image_channels, width, 3, bias=False)
        self.stem_norm = ElasticBatchNorm(width, space.batch_norm_eps)
        self.first = ElasticBlock(space, space.first_block(), (3,), (1,))
        self.units = nn.ModuleList(
            nn.ModuleList(
                ElasticBlock(space, space.block(unit, layer), choices.kernel_sizes, choices.expansion_ratios)
                for layer in range(choices.depths[-1])
            )
            for unit, choices in enumerate(space.choices)
        )
        self.head = nn.Conv2d(space.units[-1].width, space.head_width, 1, bias=False)
        self.head_norm = ElasticBatchNorm(space.head_width, space.batch_norm_eps)
        if space.mix_width:
            self.mix = nn.Conv2d(space.head_width, space.mix_width, 1, bias=False)
        self.classifier = nn.Linear(space.mix_width or space.head_width, space.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if statistics and isinstance(module, ElasticBatchNorm):
                module.keep_statistics()

    def beginning(self, x: Tensor) -> Tensor:
        """Return what the first block makes of images."""
        space = self.space
        if statistics := pixel_statistics(space):
            mean, std = statistics
            x = (x - mean.to(x)) / std.to(x)
        x = self.stem_norm(conv_padded(x, self.stem.weight, None, space.stem_stride, 1, space.padding))
        return self.first(activate(x, space.stem_activation), 3, 1)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        space = self.space
        x = self.beginning(x)
        for blocks, layers in zip(self.units, arch.units, strict=True):
            for block, (kernel, expansion) in zip(blocks, layers, strict=False):  # type: ignore[call-overload]
                x = block(x, kernel, expansion)
        x = activate(self.head_norm(F.conv2d(x, self.head.weight)), space.head_activation)
        x = x.mean((2, 3), keepdim=True)
        if space.mix_width:
            x = activate(self.mix(x), space.head_activation)
        return self.classifier(x.flatten(1))
