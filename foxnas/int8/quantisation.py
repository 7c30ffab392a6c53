"""A subnet's weights and ranges as int8: the numbers that `write_int8` writes.

By TFLite's quantisation specification: a value has one scale and one zero point; weights and biases have zero point 0;
weights lie in -127 to 127, with one scale per output channel, those of the last layer with one in all (which is what
the Edge TPU compiler and older runtimes read); a bias is int32, its scale the input's times the weight's; a PAD keeps
its input's scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor, nn

from foxnas.int8.constants import PIXELS, SIXTH, pixel_mean
from foxnas.int8.graph import Numbers, Scale, Weights
from foxnas.space.operators import Kind, Step

#: How many times finer than its inputs an output may be. XNNPACK takes less than 256 and leaves other operators out of
#: its delegate, or refuses the model; the runtime's own HARD_SWISH takes less than 128.
_FINEST_OUTPUT = 64
#: How many times finer than the sum an operand of an ADD may be. XNNPACK takes up to 1,024.
_FINEST_OPERAND = 512
#: The least that one unit of a weight does to the output, in units of the output: no number of XNNPACK's underflows.
_LEAST_EFFECT = 2.0**-20
#: The greatest bias. An int32 holds twice that, which leaves room for the sum and for corrections.
_GREATEST_BIAS = 2**30


def quantise(steps: Sequence[Step], layers: Sequence[nn.Conv2d | nn.Linear], ranges: np.ndarray) -> Numbers:
    """Return the int8 numbers of a subnet's graph.

    Parameters
    ----------
    steps, layers
        Operators of a folded subnet, and those layers that have weights.
    ranges
        (1 + steps, 2): least and greatest number of its input and of each step's output.
    """
    spans = _spans(steps, ranges)
    values, weights, unused = [PIXELS], [], iter(layers)
    for number, step in enumerate(steps):
        read = [values[i] for i in step.inputs]
        if step.kind is Kind.PAD:
            values.append(read[0])
            continue
        weight, bias = _constants(step, next(unused)) if step.weight else (None, None)
        largest = 1.0 if weight is None else float(np.abs(weight).max()) / 127
        values.append(value_scale(*spans[number + 1], _unit(step, read) * largest / _FINEST_OUTPUT))
        if weight is not None and bias is not None:
            weights.append(_weights(step, weight, bias, read[0], values[-1]))
    return Numbers(values, weights, SIXTH, pixel_mean(steps))


def value_scale(low: float, high: float, least: float = 0.0) -> Scale:
    """Return the int8 scale, `least` or more, of a value between two numbers; 0 is one of its integers."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / 255, least))
    return Scale.of(float(scale), int(np.clip(round(-128 - low / float(scale)), -128, 127)))


def _spans(steps: Sequence[Step], ranges: np.ndarray) -> list[tuple[float, float]]:
    """Return the ranges that scales are made of: wide enough for the runtime, and for what is always 0 the natural one.

    A gate that never opened has one, too, so that it can open on images that were not seen.
    """
    spans = [(float(low), float(high)) for low, high in ranges]
    for number, step in enumerate(steps, 1):
        if step.kind is Kind.CENTRE:
            spans[number] = -max(step.mean), 1 - min(step.mean)
        elif not any(spans[number]):
            spans[number] = _natural(step, [spans[i] for i in step.inputs])
    for number, step in reversed(list(enumerate(steps, 1))):
        if step.kind is Kind.ADD:
            least = (max(spans[number][1], 0.0) - min(spans[number][0], 0.0)) / _FINEST_OPERAND
            for value in step.inputs:
                low, high = min(spans[value][0], 0.0), spans[value][1]
                spans[value] = low, max(high, low + least)
    return spans


def _natural(step: Step, read: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the range of an output that is 0 for every calibration image, given those of the inputs."""
    widest = max(max(-low, high) for low, high in read)
    if step.activation != "none":
        return 0.0, 6.0 if step.activation == "relu6" else widest
    if step.kind is Kind.SIXTH:
        return 0.0, widest / 6
    if step.kind is Kind.MUL:
        return read[0][0] * read[1][1], read[0][1] * read[1][1]
    return (0.0, widest) if all(low >= 0 for low, _ in read) and not step.weight else (-widest, widest)


def _unit(step: Step, read: Sequence[Scale]) -> float:
    """Return what one unit of the inputs is in an output, weights of 1 taken for granted."""
    units = [float(scale.scale[0]) for scale in read]
    if step.kind is Kind.SIXTH:
        units.append(float(SIXTH.scale.scale[0]))
    return math.prod(units) if step.kind in (Kind.MUL, Kind.SIXTH) else max(units)


def _constants(step: Step, layer: nn.Conv2d | nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's weight in `Step.weight` layout, and its bias."""
    weight, bias = layer.weight.detach().cpu().numpy(), cast(Tensor, layer.bias).detach().cpu().numpy()
    axes = {Kind.CONV: (0, 2, 3, 1), Kind.DEPTHWISE: (1, 2, 3, 0), Kind.DENSE: (0, 1)}[step.kind]
    return np.ascontiguousarray(weight.transpose(axes)), bias + np.float32(step.bias_offset)


def real_constants(step: Step, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers that a layer's integers stand for, float32: its weight in PyTorch's layout, and its bias."""
    places = [1] * weights.values.ndim
    places[weights.scale.axis] = -1
    axes = {Kind.CONV: (0, 3, 1, 2), Kind.DEPTHWISE: (3, 0, 1, 2), Kind.DENSE: (0, 1)}[step.kind]
    real = weights.values * weights.scale.scale.reshape(places)
    return np.ascontiguousarray(real.transpose(axes)), (weights.bias * weights.bias_scale.scale).astype(np.float32)


def _weights(step: Step, weight: np.ndarray, bias: np.ndarray, read: Scale, written: Scale) -> Weights:
    axis = 3 if step.kind is Kind.DEPTHWISE else 0
    largest, offset = np.abs(weight), np.abs(bias)
    if step.kind is Kind.DENSE:
        largest, offset = largest.max(keepdims=True), offset.max(keepdims=True)
    else:
        largest = largest.max(tuple(i for i in range(weight.ndim) if i != axis), keepdims=True)
    unit, least = float(read.scale[0]), _LEAST_EFFECT * float(written.scale[0]) / float(read.scale[0])
    scale = np.maximum(largest.ravel() / 127, np.maximum(offset / (unit * _GREATEST_BIAS), least)).astype(np.float32)
    bias_scale = (scale * np.float32(unit)).astype(np.float32)
    zeros = np.zeros(len(scale), np.int64)
    return Weights(
        np.rint(weight / scale.reshape(largest.shape)).clip(-127, 127).astype(np.int8),
        Scale(scale, zeros, axis),
        np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32),
        Scale(bias_scale, zeros),
    )
