"""The operators of a subnet computed in PyTorch, value by value.

A second reading of `steps_of`: the last value is the subnet's logits, and those between are what an exported
model's tensors are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.errors import FoxnasError
from foxnas.space.layers import pads
from foxnas.space.operators import Kind, Step
from foxnas.supernet.subnet import Block, Subnet


def weighted_layers(subnet: Subnet) -> Iterator[nn.Conv2d | nn.Linear]:
    """Yield the layers with weights, in the order of `steps_of`. Raises FoxnasError when batch norms are left."""
    for layer in _layers(subnet):
        if layer.bias is None:
            raise FoxnasError("the subnet still has batch norms: call fold() before exporting it")
        yield layer


def _layers(subnet: Subnet) -> Iterator[nn.Conv2d | nn.Linear]:
    yield subnet.stem.conv
    for block in (subnet.first, *(cast(Block, block) for block in subnet.blocks)):
        if block.expand is not None:
            yield block.expand.conv
        if block.depthwise is not None:
            yield block.depthwise.conv
        if block.gate is not None:
            yield block.gate.reduce
            yield block.gate.expand
        yield block.project.conv
    yield subnet.head.conv
    if subnet.mix is not None:
        yield subnet.mix
    yield subnet.classifier


@torch.inference_mode()
def compute(step: Step, inputs: Sequence[Tensor], layer: nn.Conv2d | nn.Linear | None) -> Tensor:
    """Return one step's output; maps are (n, channels, H, W)."""
    return apply(step, inputs, None if layer is None else (layer.weight, cast(Tensor, layer.bias) + step.bias_offset))


def apply(step: Step, inputs: Sequence[Tensor], constants: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return the same of a weight in a PyTorch layer's layout and a bias, its offset in it; gradients flow."""
    x = inputs[0]
    if constants is not None:
        weight, bias = constants
        if step.kind is Kind.DENSE:
            return F.linear(x.flatten(1), weight, bias)
        groups = len(weight) if step.kind is Kind.DEPTHWISE else 1
        y = F.conv2d(_padded(step, x), weight, bias, step.stride, groups=groups)
        return y if step.activation == "none" else cast(Tensor, getattr(F, step.activation)(y))
    match step.kind:
        case Kind.CENTRE:
            return x - torch.tensor(step.mean).to(x).view(-1, 1, 1)
        case Kind.PAD:
            return _with_rows(x, step.pads)
        case Kind.HARD_SWISH:
            return F.hardswish(x)
        case Kind.MEAN:
            mean = x.mean((2, 3), keepdim=True)
            return mean if len(step.shape) == 4 else mean.flatten(1)
        case Kind.SIXTH:
            return x / 6
        case Kind.ADD:
            return x + inputs[1]
        case Kind.MUL:
            return x * inputs[1]
    raise FoxnasError(f"{step.kind.value} has weights, and none were given")


def _padded(step: Step, x: Tensor) -> Tensor:
    if step.valid:
        return x
    kernel = step.weight[1]
    return _with_rows(x, [pads("same", size, kernel, step.stride) for size in x.shape[2:]])


def _with_rows(x: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    (top, bottom), (left, right) = amounts
    return F.pad(x, (left, right, top, bottom))
