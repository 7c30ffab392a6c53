"""Models to be timed: a subnet's exact operators and shapes with random weights.

Latency does not depend on the values of weights, so thousands of subnets need no conversion. Imports
neither torch nor TensorFlow.
"""

from __future__ import annotations

import math

import numpy as np

from foxnas.int8.constants import PIXELS, SIXTH, pixel_mean
from foxnas.int8.graph import Numbers, Scale, Weights, write_int8
from foxnas.space.arch import Arch
from foxnas.space.operators import Kind, Step, input_shape, steps_of
from foxnas.space.space import SearchSpace

#: Scales of a plausible network. An ADD or MUL whose scales lie too far apart would fall out of the
#: XNNPACK delegate in silence and cost time that the real network does not take.
_RELU6 = Scale.of(6 / 255, -128)
_SIGNED = Scale.of(8 / 255, 0)
_UNIT = Scale.of(1 / 255, -128)
_LOGITS = Scale.of(16 / 255, 0)
_HARD_SWISH = Scale.of(4.375 / 255, -106)  # -0.375 to 4
#: Random numbers of weights, biases and scales that are repeated: a period well within the window of zlib, so
#: that a probe of megabytes travels as kilobytes, and far beyond the reach of any kernel's inner loop.
_BLOCKS = (1 << 13, 1 << 8, 1 << 4)
_POOL_SIZE = 1 << 20


class ProbeWriter:
    """Writes probes of one space; everything random comes from `seed`.

    `blocks` are the periods of weights, biases and scales, powers of 2.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, blocks: tuple[int, int, int] = _BLOCKS) -> None:
        self.space = space
        rng = np.random.default_rng(seed)
        weights, biases, spread = blocks
        self._weights = np.tile(rng.integers(-127, 128, weights, np.int8), _POOL_SIZE // weights)
        self._biases = np.tile(rng.integers(-500, 500, biases, np.int32), _POOL_SIZE // 64 // biases)
        self._spread = np.tile(rng.uniform(0.5, 1.0, spread).astype(np.float32), _POOL_SIZE // 64 // spread)

    def write(self, arch: Arch) -> bytes:
        """Return the int8 .tflite file of a subnet with random weights.

        Raises FoxnasError when the subnet lies outside the space.
        """
        return self._write(steps_of(self.space, arch), input_shape(self.space, arch), PIXELS)

    def _write(self, steps: tuple[Step, ...], shape: tuple[int, ...], read: Scale, whole: bool = True) -> bytes:
        values = [read]
        weights: list[Weights] = []
        shared: dict[tuple[object, ...], tuple[Scale, Scale]] = {}
        for step in steps:
            if step.weight:
                weights.append(self._draw(step, values[step.inputs[0]], len(weights), shared))
            values.append(_value_scale(step, values))
        return write_int8(steps, shape, Numbers(values, weights, SIXTH, pixel_mean(steps)), whole)

    def _draw(
        self, step: Step, read: Scale, number: int, shared: dict[tuple[object, ...], tuple[Scale, Scale]]
    ) -> Weights:
        size = math.prod(step.weight)
        axis = 3 if step.kind is Kind.DEPTHWISE else 0
        channels = step.weight[axis]
        start = number * 4099
        values = _window(self._weights, start, size)
        bias = _window(self._biases, start, channels)
        count = 1 if step.kind is Kind.DENSE else channels
        key = (id(read), axis, count, size // channels)
        if key not in shared:
            # About unit variance in, unit variance out, as in a trained network.
            scale = _window(self._spread, 0, count) * np.float32(1 / 73 / math.sqrt(size / channels))
            zeros = np.zeros(count, np.int64)
            shared[key] = Scale(scale, zeros, axis), Scale(scale * read.scale, zeros)
        weight_scale, bias_scale = shared[key]
        return Weights(values, weight_scale, bias, bias_scale)


def _value_scale(step: Step, values: list[Scale]) -> Scale:
    """Scale of a step's output."""
    if step.activation != "none":
        return _RELU6
    if step.kind in (Kind.MEAN, Kind.MUL, Kind.PAD):
        return values[step.inputs[0]]
    if step.kind is Kind.CENTRE:
        # From 0 less the largest mean to 1 less the smallest.
        width = 1 + max(step.mean) - min(step.mean)
        return Scale.of(width / 255, round(255 * max(step.mean) / width) - 128)
    own = {Kind.SIXTH: _UNIT, Kind.HARD_SWISH: _HARD_SWISH, Kind.DENSE: _LOGITS}
    return own.get(step.kind, _SIGNED)


def _window(pool: np.ndarray, start: int, size: int) -> np.ndarray:
    """`size` numbers of a pool that has no end."""
    start %= len(pool)
    if start + size <= len(pool):
        return pool[start : start + size]
    return np.take(pool, np.arange(start, start + size), mode="wrap")
