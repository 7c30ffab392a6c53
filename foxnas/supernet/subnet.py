"""One static subnet cut out of a supernet: ordinary convolutions, its own batch-norm statistics."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from foxnas.space import Arch
from foxnas.supernet.elastic import ElasticBatchNorm, ElasticBlock, conv_same
from foxnas.supernet.model import Supernet


class ConvNorm(nn.Module):
    """SAME convolution, batch norm, and ReLU6 unless `linear`. Folding leaves the convolution with a bias."""

    def __init__(self, weight: Tensor, norm: ElasticBatchNorm, stride: int, groups: int, linear: bool = False) -> None:
        super().__init__()
        out, fan_in, kernel, _ = weight.shape
        self.linear = linear
        self.conv = nn.Conv2d(fan_in * groups, out, kernel, stride, groups=groups, bias=False)
        self.conv.weight = nn.Parameter(weight.detach().clone(memory_format=torch.channels_last))
        self.norm: nn.Module = nn.BatchNorm2d(out, eps=norm.eps, momentum=None)
        self.norm.weight = nn.Parameter(norm.weight.detach()[:out].clone())
        self.norm.bias = nn.Parameter(norm.bias.detach()[:out].clone())

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        y = self.norm(conv_same(x, conv.weight, conv.bias, conv.stride[0], conv.groups))
        return y if self.linear else F.relu6(y, inplace=not self.training)

    def fold(self) -> None:
        """Merge the batch norm's running statistics into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class Gate(nn.Module):
    """Squeeze-and-excitation: global average, 1x1 convolution, ReLU6, 1x1 convolution, hard-sigmoid."""

    def __init__(self, reduce_w: Tensor, reduce_b: Tensor, expand_w: Tensor, expand_b: Tensor) -> None:
        super().__init__()
        squeezed, hidden = reduce_w.shape[:2]
        self.reduce, self.expand = nn.Conv2d(hidden, squeezed, 1), nn.Conv2d(squeezed, hidden, 1)
        for conv, weight, bias in ((self.reduce, reduce_w, reduce_b), (self.expand, expand_w, expand_b)):
            conv.weight = nn.Parameter(weight.detach().clone())
            conv.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        gate = F.relu6(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.expand(gate))


class Block(nn.Module):
    """One inverted bottleneck with fixed K and E."""

    def __init__(self, block: ElasticBlock, kernel: int, expansion: int) -> None:
        super().__init__()
        hidden = block.in_width * expansion
        self.residual = block.residual
        self.expand: ConvNorm | None = None
        if hasattr(block, "expand"):
            self.expand = ConvNorm(block.expand.weight[:hidden], block.expand_norm, 1, 1)
        weight = block.depthwise.slice(kernel, hidden)
        self.depthwise = ConvNorm(weight, block.depthwise_norm, block.stride, hidden)
        self.gate = Gate(*block.gate.slice(hidden)) if block.gate is not None else None
        self.project = ConvNorm(block.project.weight[:, :hidden], block.project_norm, 1, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expand is not None else x
        y = self.depthwise(y)
        if self.gate is not None:
            y = self.gate(y)
        y = self.project(y)
        return x + y if self.residual else y


class Subnet(nn.Module):
    """A standalone network (N, channels, H, W) in [0, 1] -> logits (N, classes).

    Fresh from extraction its batch norms hold no statistics: run calibration images through it in
    training mode (`foxnas.accuracy.recalibrate`), then `fold`.
    """

    def __init__(self, supernet: Supernet, arch: Arch) -> None:
        super().__init__()
        space = supernet.space
        self.space, self.arch = space, space.validate(arch)
        self.stem = ConvNorm(supernet.stem.weight, supernet.stem_norm, space.stem_stride, 1)
        self.first = Block(supernet.first, 3, 1)
        self.blocks = nn.ModuleList(
            Block(cast(ElasticBlock, block), kernel, expansion)
            for blocks, layers in zip(supernet.units, arch.units, strict=True)
            for block, (kernel, expansion) in zip(cast(nn.ModuleList, blocks), layers, strict=False)
        )
        self.head = ConvNorm(supernet.head.weight, supernet.head_norm, 1, 1)
        self.classifier = nn.Linear(space.head_width, space.classes)
        self.classifier.load_state_dict(supernet.classifier.state_dict())
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.head(x).mean((2, 3)))

    def fold(self) -> Subnet:
        """Merge every batch norm into its convolution, in place; return self in evaluation mode."""
        self.eval()
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self
