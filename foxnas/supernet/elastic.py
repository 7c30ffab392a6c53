"""Elastic layers: one set of weights from which every K and E is a slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space.layers import FUSED, SQUEEZE_EXCITE, Activation, BlockSpec, Padding, SqueezeExcite, pads
from foxnas.space.space import SearchSpace


def conv_padded(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int, padding: Padding) -> Tensor:
    """Convolve (N, C, H, W) with a space's padding."""
    kernel = weight.shape[-1]
    if kernel == 1 and stride == 1:
        return F.conv2d(x, weight, bias, groups=groups)
    if padding == "symmetric":
        return F.conv2d(x, weight, bias, stride, kernel // 2, groups=groups)
    top, bottom = pads(padding, x.shape[2], kernel, stride)
    left, right = pads(padding, x.shape[3], kernel, stride)
    if top == bottom and left == right:
        return F.conv2d(x, weight, bias, stride, (top, left), groups=groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride, groups=groups)


def activate(x: Tensor, activation: Activation, inplace: bool = False) -> Tensor:
    """Return the activation of `x`."""
    if activation == "relu6":
        return F.relu6(x, inplace)
    return F.relu(x, inplace) if activation == "relu" else F.hardswish(x, inplace)


class ElasticBatchNorm(nn.Module):
    """Batch norm over the first channels of its widest form, on the batch's own statistics.

    A subnet's running statistics belong to the subnet and are estimated after extraction
    (`foxnas.accuracy.evaluation.recalibrate`). The supernet has some of its own only to hand on those of a checkpoint
    that came with them.
    """

    def __init__(self, channels: int, eps: float, gain: float = 1.0) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.full((channels,), gain))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.register_buffer("running_mean", None)
        self.register_buffer("running_var", None)

    def keep_statistics(self) -> None:
        """Make room for running statistics."""
        self.running_mean, self.running_var = torch.zeros_like(self.bias), torch.ones_like(self.bias)

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
        gate = activate(F.conv2d(gate, reduce_w, reduce_b), self.rule.activation)
        return x * F.hardsigmoid(F.conv2d(gate, expand_w, expand_b))


class ElasticBlock(nn.Module):
    """One inverted bottleneck: 1x1 expansion, depthwise KxK, optional gate, 1x1 projection.

    In a fused block one ordinary 3x3 convolution, `expand`, takes the place of the first two. A separable block
    whose only expansion ratio is 1 has no expansion convolution.
    """

    def __init__(
        self, space: SearchSpace, spec: BlockSpec, kernel_sizes: tuple[int, ...], expansion_ratios: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.spec, self.padding = spec, space.padding
        hidden, eps = spec.in_width * expansion_ratios[-1], space.batch_norm_eps
        fused = spec.type == FUSED
        if fused or expansion_ratios != (1,):
            self.expand = nn.Conv2d(spec.in_width, hidden, 3 if fused else 1, bias=False)
            self.expand_norm = ElasticBatchNorm(hidden, eps)
        if not fused:
            self.depthwise = ElasticDepthwise(hidden, kernel_sizes, space.kernel_transforms)
            self.depthwise_norm = ElasticBatchNorm(hidden, eps)
        self.gate = ElasticSqueezeExcite(hidden, space.squeeze) if spec.type == SQUEEZE_EXCITE else None
        self.project = nn.Conv2d(hidden, spec.width, 1, bias=False)
        self.project_norm = ElasticBatchNorm(spec.width, eps, gain=0.0 if spec.residual else 1.0)

    def forward(self, x: Tensor, kernel: int, expansion: int) -> Tensor:
        y = self.within(x, kernel, expansion)
        y = self.project_norm(F.conv2d(y, self.project.weight[:, : y.shape[1]]))
        return x + y if self.spec.residual else y

    def within(self, x: Tensor, kernel: int, expansion: int) -> Tensor:
        """Return what the projection reads: (N, in_width * expansion, H, W)."""
        spec = self.spec
        hidden = spec.in_width * expansion
        y = x
        if hasattr(self, "expand"):
            stride = spec.stride if spec.type == FUSED else 1
            y = conv_padded(y, self.expand.weight[:hidden], None, stride, 1, self.padding)
            y = activate(self.expand_norm(y), spec.activation)
        if hasattr(self, "depthwise"):
            weight = self.depthwise.slice(kernel, hidden)
            y = conv_padded(y, weight, None, spec.stride, hidden, self.padding)
            y = activate(self.depthwise_norm(y), spec.activation)
        if self.gate is not None:
            y = self.gate(y)
        return y
