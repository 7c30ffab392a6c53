"""The supernet: every subnet of a space in one set of weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space import SEPARABLE, Arch, SearchSpace
from foxnas.supernet.elastic import ElasticBatchNorm, ElasticBlock, conv_same


class Supernet(nn.Module):
    """Stem, one separable block, elastic units, 1x1 head, global average pooling, classifier.

    Forward takes images (N, channels, H, W) in [0, 1] and an architecture, uses the batch's own
    statistics in every batch norm, and returns logits (N, classes).
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        width = space.stem_width
        self.stem = nn.Conv2d(space.image_channels, width, 3, bias=False)
        self.stem_norm = ElasticBatchNorm(width)
        self.first = ElasticBlock(width, width, 1, SEPARABLE, (3,), (1,), False, space.squeeze)
        self.units = nn.ModuleList()
        for in_width, spec in zip(space.in_widths(), space.units, strict=True):
            knobs = (spec.type, space.kernel_sizes, space.expansion_ratios, space.kernel_transforms, space.squeeze)
            blocks = [ElasticBlock(in_width, spec.width, spec.stride, *knobs)]
            blocks += [ElasticBlock(spec.width, spec.width, 1, *knobs) for _ in range(space.depths[-1] - 1)]
            self.units.append(nn.ModuleList(blocks))
        self.head = nn.Conv2d(space.units[-1].width, space.head_width, 1, bias=False)
        self.head_norm = ElasticBatchNorm(space.head_width)
        self.classifier = nn.Linear(space.head_width, space.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        x = F.relu6(self.stem_norm(conv_same(x, self.stem.weight, None, self.space.stem_stride, 1)))
        x = self.first(x, 3, 1)
        for blocks, layers in zip(self.units, arch.units, strict=True):
            for block, (kernel, expansion) in zip(blocks, layers, strict=False):  # type: ignore[call-overload]
                x = block(x, kernel, expansion)
        x = F.relu6(self.head_norm(F.conv2d(x, self.head.weight)))
        return self.classifier(x.mean((2, 3)))
