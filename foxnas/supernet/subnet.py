"""One static subnet cut out of a supernet: ordinary convolutions, its own batch-norm statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from foxnas.images.pixels import layout
from foxnas.space.arch import Arch
from foxnas.space.layers import FUSED, Activation, Padding, SqueezeExcite
from foxnas.supernet.convolution import by_onednn, convolve
from foxnas.supernet.elastic import ElasticBatchNorm, ElasticBlock, activate
from foxnas.supernet.model import Supernet, pixel_statistics
from foxnas.supernet.statistics import batch_statistics, widened_statistics


class _Conv(nn.Conv2d):
    """A convolution that is given its weights at once: drawing random ones first was a tenth of an evaluation."""

    def reset_parameters(self) -> None:
        """Leave them as they are."""


class _BatchNorm(nn.BatchNorm2d):
    """A batch norm likewise."""

    def reset_parameters(self) -> None:
        """Leave them as they are."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, and activation (None: none). Folding leaves the convolution with a bias.

    In training mode every batch is normalised by its own statistics, and these are averaged over the images seen.
    """

    def __init__(
        self,
        weight: Tensor,
        norm: ElasticBatchNorm,
        activation: Activation | None,
        padding: Padding,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        out, fan_in, kernel, _ = weight.shape
        self.activation, self.padding = activation, padding
        self.conv = _Conv(fan_in * groups, out, kernel, stride, groups=groups, bias=False, device="meta")
        self.conv.weight = nn.Parameter(weight.detach().clone(memory_format=layout(weight.device)))
        batch_norm = _BatchNorm(out, eps=norm.eps, device=weight.device)
        batch_norm.weight = nn.Parameter(norm.weight.detach()[:out].clone())
        batch_norm.bias = nn.Parameter(norm.bias.detach()[:out].clone())
        if norm.running_mean is not None and norm.running_var is not None:
            batch_norm.running_mean = norm.running_mean[:out].clone()
            batch_norm.running_var = norm.running_var[:out].clone()
        self.norm: nn.Module = batch_norm
        self.images_seen = 0

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(self.norm, nn.BatchNorm2d):
            return self._convolved(x, self.activation)
        if self.training:
            return self._normalised_by_batch(x, self.norm)
        y = self.norm(self._convolved(x, None))
        return y if self.activation is None else activate(y, self.activation, inplace=True)

    def _convolved(self, x: Tensor, activation: Activation | None) -> Tensor:
        conv = self.conv
        return convolve(x, conv.weight, conv.bias, conv.stride[0], conv.groups, self.padding, activation)

    def _normalised_by_batch(self, x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        weight = self.conv.weight
        outputs, inputs, kernel, _ = weight.shape
        widens = kernel == 1 and outputs > inputs > 1
        y = x if widens else self._convolved(x, None)
        mean, variance = widened_statistics(x, weight) if widens else batch_statistics(y)
        self._average(norm, mean, variance, len(x))
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = torch.addcmul(norm.bias, mean, scale, value=-1)
        per_channel = scale.view(-1, 1, 1, 1)
        if widens:
            return convolve(y, weight * per_channel, shift, 1, 1, self.padding, self.activation)
        if self.activation is None or not by_onednn(y):
            y = torch.addcmul(shift.view(-1, 1, 1), y, scale.view(-1, 1, 1))
            return y if self.activation is None else activate(y, self.activation, inplace=True)
        # The same as one convolution of 1x1 in each channel: scale, shift and activation in one pass over the maps.
        return convolve(y, per_channel, shift, 1, outputs, self.padding, self.activation)

    def _average(self, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, images: int) -> None:
        self.images_seen += images
        share = images / self.images_seen
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance, share)

    def fold(self) -> None:
        """Merge the batch norm's running statistics into the convolution."""
        if isinstance(norm := self.norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            # Not `fuse_conv_bn_eval`, which copies the convolution first.
            self.conv.weight, self.conv.bias = fuse_conv_bn_weights(
                self.conv.weight, self.conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            self.norm = nn.Identity()


class Gate(nn.Module):
    """Squeeze-and-excitation: global average, 1x1 convolution, activation, 1x1 convolution, hard-sigmoid."""

    def __init__(
        self, reduce_w: Tensor, reduce_b: Tensor, expand_w: Tensor, expand_b: Tensor, rule: SqueezeExcite
    ) -> None:
        super().__init__()
        squeezed, hidden = reduce_w.shape[:2]
        self.activation = rule.activation
        self.reduce = _Conv(hidden, squeezed, 1, device="meta")
        self.expand = _Conv(squeezed, hidden, 1, device="meta")
        for conv, weight, bias in ((self.reduce, reduce_w, reduce_b), (self.expand, expand_w, expand_b)):
            conv.weight = nn.Parameter(weight.detach().clone())
            conv.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        gate = activate(self.reduce(x.mean((2, 3), keepdim=True)), self.activation)
        return x.mul_(F.hardsigmoid(self.expand(gate)))


class Block(nn.Module):
    """One inverted bottleneck with fixed K and E."""

    def __init__(self, block: ElasticBlock, kernel: int, expansion: int) -> None:
        super().__init__()
        spec, padding = block.spec, block.padding
        hidden = spec.in_width * expansion
        self.residual = spec.residual
        self.expand: ConvNorm | None = None
        self.depthwise: ConvNorm | None = None
        if hasattr(block, "expand"):
            stride = spec.stride if spec.type == FUSED else 1
            self.expand = ConvNorm(
                block.expand.weight[:hidden], block.expand_norm, spec.activation, padding, stride=stride
            )
        if hasattr(block, "depthwise"):
            weight = block.depthwise.slice(kernel, hidden)
            self.depthwise = ConvNorm(weight, block.depthwise_norm, spec.activation, padding, spec.stride, hidden)
        self.gate = Gate(*block.gate.slice(hidden), block.gate.rule) if block.gate is not None else None
        self.project = ConvNorm(block.project.weight[:, :hidden], block.project_norm, None, padding)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expand is not None else x
        if self.depthwise is not None:
            y = self.depthwise(y)
        if self.gate is not None:
            y = self.gate(y)
        y = self.project(y)
        return y.add_(x) if self.residual else y


class Subnet(nn.Module):
    """A standalone network (N, channels, H, W) in [0, 1] -> logits (N, classes).

    Fresh from extraction its batch norms hold the supernet's statistics, if it has any, cut to their width. Its own
    come from running calibration images through it in training mode
    (`foxnas.accuracy.evaluation.recalibrate`); then `fold`.

    Parameters
    ----------
    supernet
        Where the weights come from.
    arch
        Of its space.
    begun
        Blocks of another subnet whose first layers are the same: they are shared, not copied.
    """

    def __init__(self, supernet: Supernet, arch: Arch, begun: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        space = supernet.space
        self.space, self.arch = space, space.validate(arch)
        stem = supernet.stem.weight
        self.pixel_mean: Tensor | None
        self.register_buffer("pixel_mean", None)
        if statistics := pixel_statistics(space):
            # Only the mean must come off before the padding; the division moves into the weights.
            self.pixel_mean = statistics[0].to(stem)
            stem = stem / statistics[1].to(stem)
        self.stem = ConvNorm(stem, supernet.stem_norm, space.stem_activation, space.padding, stride=space.stem_stride)
        self.first = Block(supernet.first, 3, 1)
        elastic = [
            (cast(ElasticBlock, block), layer)
            for blocks, layers in zip(supernet.units, arch.units, strict=True)
            for block, layer in zip(cast(nn.ModuleList, blocks), layers, strict=False)
        ]
        own = (Block(block, kernel, expansion) for block, (kernel, expansion) in elastic[len(begun) :])
        self.blocks = nn.ModuleList([*begun, *own])
        self.head = ConvNorm(supernet.head.weight, supernet.head_norm, space.head_activation, space.padding)
        self.mix: nn.Conv2d | None = None
        if space.mix_width:
            self.mix = nn.Conv2d(space.head_width, space.mix_width, 1, device="meta")
            self.mix.weight = nn.Parameter(supernet.mix.weight.detach().clone())
            self.mix.bias = nn.Parameter(torch.zeros_like(self.mix.weight[:, 0, 0, 0]))
        self.classifier = nn.Linear(supernet.classifier.in_features, space.classes, device="meta")
        self.classifier.load_state_dict(supernet.classifier.state_dict(), assign=True)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.beginning(x))

    def beginning(self, x: Tensor) -> Tensor:
        """Return what the first block makes of images: the same in every subnet of one image size."""
        if self.pixel_mean is not None:
            x = x - self.pixel_mean
        return self.first(self.stem(x))

    def rest(self, x: Tensor, begin: int = 0) -> Tensor:
        """Return the logits of what the first block made, or the first `begin` after it."""
        for step in self.steps[begin:]:
            x = step(x)
        return x

    @property
    def steps(self) -> list[Callable[[Tensor], Tensor]]:
        """What `rest` does one after another; those that subnets share are the same objects."""
        return [*self.blocks, self.end]

    def end(self, x: Tensor) -> Tensor:
        """Return the logits of what the last block made."""
        x = self.head(x).mean((2, 3), keepdim=True)
        if self.mix is not None:
            x = activate(self.mix(x), self.space.head_activation)
        return self.classifier(x.flatten(1))

    def fold(self) -> Subnet:
        """Merge every batch norm into its convolution, in place; return self in evaluation mode."""
        fold(self.eval())
        return self


def fold(network: nn.Module) -> None:
    """Merge every batch norm's running statistics into its convolution, in place; what is folded stays as it is."""
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.fold()
