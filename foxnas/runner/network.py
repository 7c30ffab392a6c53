"""A float32 network built from a list of operators.

The list is JSON, so nothing that arrives is ever executed or unpickled:

    {"image": [channels, height, width],
     "operators": [{"op": "conv", "inputs": [0], "out": 16, "in": 3, "kernel": 3, "stride": 2, "groups": 1,
                    "padding": [left, right, top, bottom], "activation": "relu6"}, ...]}

Input 0 is the image, input i + 1 the output of operator i. The others: ``add``, ``mul`` (two inputs),
``mean`` (over height and width; ``keep`` says whether these stay, as 1), ``dense`` (out, in),
``subtract`` (``values``, one a channel), ``activation`` (``activation``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": nn.Identity(),
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hard-sigmoid": functional.hardsigmoid,
    "hard-swish": functional.hardswish,
}


class Convolution(nn.Module):
    """A convolution with any padding, and its activation."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()
        left, right, top, bottom = self.padding = operator["padding"]
        self.even = left == right and top == bottom
        self.conv = nn.Conv2d(
            operator["in"], operator["out"], operator["kernel"], operator["stride"],
            padding=(top, left) if self.even else 0, groups=operator["groups"],
        )  # fmt: skip
        self.activation = ACTIVATIONS[operator["activation"]]

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x if self.even else functional.pad(x, self.padding)))


class Mean(nn.Module):
    """Global average pooling."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()
        self.keep = operator["keep"]

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=self.keep)


class Subtract(nn.Module):
    """A constant a channel taken off."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()
        self.values: Tensor
        self.register_buffer("values", torch.tensor(operator["values"]).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.values


class Activation(nn.Module):
    """An activation on its own."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[operator["activation"]]

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x)


class Add(nn.Module):
    """The sum of two values."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Multiply(nn.Module):
    """The product of two values."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y


class Dense(nn.Module):
    """A fully connected layer, of whatever shape its input is."""

    def __init__(self, operator: dict[str, Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(operator["in"], operator["out"])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


OPERATORS = {
    "conv": Convolution,
    "mean": Mean,
    "subtract": Subtract,
    "activation": Activation,
    "add": Add,
    "mul": Multiply,
    "dense": Dense,
}


class Network(nn.Module):
    """The operators of a list, with PyTorch's own random weights. Raises ValueError for one that is not known."""

    def __init__(self, program: dict[str, Any]) -> None:
        super().__init__()
        unknown = {operator["op"] for operator in program["operators"]} - set(OPERATORS)
        if unknown:
            raise ValueError(f"the network has an operator {sorted(unknown)[0]!r} that this runner does not know")
        self.inputs = [operator["inputs"] for operator in program["operators"]]
        self.operators = nn.ModuleList([OPERATORS[operator["op"]](operator) for operator in program["operators"]])
        self.eval()
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        values = [image]
        for inputs, operator in zip(self.inputs, self.operators):  # noqa: B905 - Python 3.7 has no strict
            values.append(operator(*[values[i] for i in inputs]))
        return values[-1]
