"""A subnet as PyTorch runs it: the list of float32 operators that `foxnas.runner.network` builds.

It is made from the same operators as the int8 probe. What TFLite spells out is said as PyTorch has it: the
gate's ReLU6(x + 3) times 1/6 is one hard-sigmoid, and padding belongs to its convolution.
"""

from __future__ import annotations

import json
from typing import Any

from foxnas.space.arch import Arch
from foxnas.space.layers import pads
from foxnas.space.operators import Kind, Step, input_shape, steps_of
from foxnas.space.space import SearchSpace

_Pads = tuple[tuple[int, int], ...]


def write_float(space: SearchSpace, arch: Arch) -> bytes:
    """Return a subnet's operators as JSON, without weights. Raises FoxnasError when it lies outside the space."""
    _, height, width, channels = shape = input_shape(space, arch)
    operators: list[dict[str, Any]] = []
    shapes: list[tuple[int, ...]] = [shape]
    places = [0]  # which value of the list each value of the steps is
    padding: _Pads | None = None
    for step in steps_of(space, arch):
        read = shapes[step.inputs[0]]
        if step.kind is Kind.PAD:
            padding = step.pads
            places.append(places[step.inputs[0]])
        elif step.kind is Kind.SIXTH:
            places.append(places[step.inputs[0]])
        else:
            operators.append({**_operator(step, read, padding), "inputs": [places[i] for i in step.inputs]})
            places.append(len(operators))
            padding = None
        shapes.append(step.shape)
    return json.dumps({"image": [channels, height, width], "operators": operators}).encode()


def _operator(step: Step, read: tuple[int, ...], padding: _Pads | None) -> dict[str, Any]:
    """Say one step in PyTorch's words; `read` is what it reads, `padding` what a PAD before it has added to that."""
    if step.kind in (Kind.CONV, Kind.DEPTHWISE):
        return _convolution(step, read, padding)
    if step.kind is Kind.DENSE:
        return {"op": "dense", "out": step.weight[0], "in": step.weight[1]}
    if step.kind is Kind.MEAN:
        return {"op": "mean", "keep": len(step.shape) == 4}
    if step.kind is Kind.CENTRE:
        return {"op": "subtract", "values": list(step.mean)}
    if step.kind is Kind.HARD_SWISH:
        return {"op": "activation", "activation": "hard-swish"}
    return {"op": {Kind.ADD: "add", Kind.MUL: "mul"}[step.kind]}


def _convolution(step: Step, read: tuple[int, ...], padding: _Pads | None) -> dict[str, Any]:
    kernel, stride, channels = step.weight[1], step.stride, read[3]
    sizes = read[1:3]
    if padding:
        sizes = tuple(size - before - after for size, (before, after) in zip(sizes, padding, strict=True))
    else:
        padding = tuple(pads("same", size, kernel, stride) for size in sizes)
    sides = [_evened(size, rows, kernel, stride) for size, rows in zip(sizes, padding, strict=True)]
    return {
        "op": "conv",
        "out": step.shape[3],
        "in": channels,
        "kernel": kernel,
        "stride": stride,
        "groups": channels if step.kind is Kind.DEPTHWISE else 1,
        "padding": [*sides[1], *sides[0]],
        "activation": "hard-sigmoid" if step.bias_offset else step.activation,
    }


def _evened(size: int, rows: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
    """Return the same number of rows on both sides where no stride reaches the further ones: a cheaper convolution."""
    before, after = rows
    unreached = (size + 2 * before - kernel) // stride == (size + before + after - kernel) // stride
    return (before, before) if after < before and unreached else rows
