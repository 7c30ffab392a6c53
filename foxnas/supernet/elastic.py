"""Elastic layers: one set of weights from which every K and E is a slice.

Padding is TFLite's SAME everywhere, which for an even input and stride 2 puts the odd row and column
after the image, not before it; a subnet then exports without a single PAD operator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space import SQUEEZE_EXCITE, SqueezeExcite


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows before and after an axis of `size` that TFLite's SAME padding adds."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv_same(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """Convolve (N, C, H, W) with SAME padding."""
    kernel = weight.shape[-1]
    if kernel == 1 and stride == 1:
        return F.conv2d(x, weight, bias, groups=groups)
    top, bottom = same_padding(x.shape[2], kernel, stride)
    left, right = same_padding(x.shape[3], kernel, stride)
    if top == bottom and left == right:
        return F.conv2d(x, weight, bias, stride, (top, left), groups=groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride, groups=groups)


class ElasticBatchNorm(nn.Module):
    """Batch norm over the first channels of its widest form, on the batch's own statistics.

    A subnet's running statistics belong to the subnet, so the supernet keeps none; they are estimated
    after extraction (`foxnas.accuracy.recalibrate`).
    """

    eps = 1e-5

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), gain))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        c = x.shape[1]
        return F.batch_norm(x, None, None, self.weight[:c], self.bias[:c], training=True, eps=self.eps)


class ElasticDepthwise(nn.Module):
    """Depthwise weights for every kernel size: the centre of the largest.

    With `transforms`, a learned matrix follows each step to a smaller kernel (Once-for-All's kernel
    transform); it starts as the identity.
    """

    def __init__(self, channels: int, kernel_sizes: tuple[int, ...], transforms: bool) -> None:
        super().__init__()
        self.kernel_sizes = kernel_sizes
        largest = kernel_sizes[-1]
        self.weight = nn.Parameter(torch.empty(channels, 1, largest, largest))
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")
        steps = kernel_sizes[:-1] if transforms else ()
        self.steps = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k * k)) for k in steps})

    def slice(self, kernel: int, channels: int) -> Tensor:
        """Weights (channels, 1, kernel, kernel)."""
        weight = self.weight[:channels]
        for smaller in (k for k in reversed(self.kernel_sizes[:-1]) if k >= kernel):
            crop = (weight.shape[-1] - smaller) // 2
            weight = weight[:, :, crop : crop + smaller, crop : crop + smaller]
            if self.steps:
                weight = (weight.reshape(channels, -1) @ self.steps[str(smaller)].T).view_as(weight)
        return weight


class ElasticSqueezeExcite(nn.Module):
    """Channel gate: global average, two 1x1 convolutions, hard-sigmoid."""

    def __init__(self, hidden: int, rule: SqueezeExcite) -> None:
        super().__init__()
        self.rule = rule
        squeezed = rule.width(hidden)
        self.reduce = nn.Conv2d(hidden, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, hidden, 1)

    def slice(self, hidden: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reduce weight and bias, expand weight and bias for a hidden width."""
        r = self.rule.width(hidden)
        return (
            self.reduce.weight[:r, :hidden],
            self.reduce.bias[:r],  # type: ignore[index]
            self.expand.weight[:hidden, :r],
            self.expand.bias[:hidden],  # type: ignore[index]
        )

    def forward(self, x: Tensor) -> Tensor:
        reduce_w, reduce_b, expand_w, expand_b = self.slice(x.shape[1])
        gate = x.mean((2, 3), keepdim=True)
        gate = F.relu6(F.conv2d(gate, reduce_w, reduce_b))
        return x * F.hardsigmoid(F.conv2d(gate, expand_w, expand_b))


class ElasticBlock(nn.Module):
    """One inverted bottleneck: 1x1 expansion, depthwise KxK, optional gate, 1x1 projection.

    A block whose only expansion ratio is 1 has no expansion convolution.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        stride: int,
        type: int,
        kernel_sizes: tuple[int, ...],
        expansion_ratios: tuple[int, ...],
        transforms: bool,
        squeeze: SqueezeExcite,
    ) -> None:
        super().__init__()
        self.in_width, self.stride = in_width, stride
        self.residual = stride == 1 and in_width == out_width
        hidden = in_width * expansion_ratios[-1]
        if expansion_ratios != (1,):
            self.expand = nn.Conv2d(in_width, hidden, 1, bias=False)
            self.expand_norm = ElasticBatchNorm(hidden)
        self.depthwise = ElasticDepthwise(hidden, kernel_sizes, transforms)
        self.depthwise_norm = ElasticBatchNorm(hidden)
        self.gate = ElasticSqueezeExcite(hidden, squeeze) if type == SQUEEZE_EXCITE else None
        self.project = nn.Conv2d(hidden, out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm(out_width, gain=0.0 if self.residual else 1.0)

    def forward(self, x: Tensor, kernel: int, expansion: int) -> Tensor:
        hidden = self.in_width * expansion
        y = x
        if hasattr(self, "expand"):
            y = F.relu6(self.expand_norm(F.conv2d(x, self.expand.weight[:hidden])))
        weight = self.depthwise.slice(kernel, hidden)
        y = F.relu6(self.depthwise_norm(conv_same(y, weight, None, self.stride, hidden)))
        if self.gate is not None:
            y = self.gate(y)
        y = self.project_norm(F.conv2d(y, self.project.weight[:, :hidden]))
        return x + y if self.residual else y
