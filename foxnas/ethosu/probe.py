"""Probes whose weights are distributed like trained ones: on an Ethos-U latency depends on the values of weights.

Weights travel to the NPU compressed, small numbers in fewer bits. Uniform ones, which other probes have, take the
longest; see docs/evidence/ethos-u.md for both against trained weights.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from foxnas.int8.graph import Scale, Weights
from foxnas.int8.probe import ProbeWriter
from foxnas.space.operators import Kind, Step
from foxnas.space.space import SearchSpace

#: Numbers to draw from, far more than a channel has.
_POOL_SIZE = 1 << 20

#: How far apart two steps begin in them.
_STRIDE = 7919


class TrainedLikeWriter(ProbeWriter):
    """Writes probes whose int8 weights are normal numbers, scaled to 127 in every channel as quantisation does."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._normal = np.random.default_rng(seed).standard_normal(_POOL_SIZE).astype(np.float32)

    def _draw(
        self, step: Step, read: Scale, number: int, shared: dict[tuple[object, ...], tuple[Scale, Scale]]
    ) -> Weights:
        return replace(super()._draw(step, read, number, shared), values=self._trained_like(step, number))

    def _trained_like(self, step: Step, number: int) -> np.ndarray:
        """Return int8 weights of a step: a dense layer has one scale, every other one per channel."""
        places = np.arange(number * _STRIDE, number * _STRIDE + math.prod(step.weight))
        drawn = self._normal.take(places, mode="wrap").reshape(step.weight)
        axis = 3 if step.kind is Kind.DEPTHWISE else 0
        others = None if step.kind is Kind.DENSE else tuple(i for i in range(drawn.ndim) if i != axis)
        largest = np.abs(drawn).max(axis=others, keepdims=True)
        return np.round(127 * drawn / largest).astype(np.int8).ravel()
