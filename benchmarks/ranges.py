"""Rules for the range of a value, other than the least and the greatest number: what `exporters` compares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from foxnas.images.pixels import to_input
from foxnas.int8.computing import compute, weighted_layers
from foxnas.int8.correction import correct_biases
from foxnas.int8.graph import write_int8
from foxnas.int8.quantisation import quantise
from foxnas.int8.ranges import PIXELS, value_ranges
from foxnas.space.operators import input_shape, steps_of
from foxnas.supernet.subnet import Subnet

_BINS = 2048
#: Parts of either end of a range that are tried for the least error.
_PARTS = np.linspace(0.3, 1, 29)
#: Of a value's numbers, those left out at either end.
_SHARE = 1e-4

Rule = Callable[[float, float, np.ndarray], tuple[float, float]]


def min_max(low: float, high: float, counts: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest number."""
    return low, high


def percentile(low: float, high: float, counts: np.ndarray) -> tuple[float, float]:
    """Return the range without a ten-thousandth of the numbers at either end."""
    below, edges = np.cumsum(counts) / counts.sum(), np.linspace(low, high, _BINS + 1)
    last = min(_BINS - 1, int(np.searchsorted(below, 1 - _SHARE)))
    return float(edges[np.searchsorted(below, _SHARE)]), float(edges[last + 1])


def least_error(low: float, high: float, counts: np.ndarray) -> tuple[float, float]:
    """Return the range that rounds and cuts off with the least squared error."""
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    tried = []
    for first in min(low, 0.0) * _PARTS:
        for last in max(high, 0.0) * _PARTS:
            error = (counts * (middles - middles.clip(first, last)) ** 2).sum()
            error += counts.sum() * ((last - first) / 255) ** 2 / 12
            tried.append((float(error), float(first), float(last)))
    return min(tried)[1:]


RULES: dict[str, Rule] = {"percentile": percentile, "least error": least_error, "min/max": min_max}


def write_with(name: str, subnet: Subnet, images: np.ndarray, corrected: bool) -> Callable[[], bytes]:
    """Return what writes a subnet's int8 file with ranges by a rule; input and logits keep theirs."""

    def write() -> bytes:
        ranges = value_ranges(subnet, images)
        counts = _histograms(subnet, images, ranges) if name != "min/max" else ranges
        for number in range(1, len(ranges) - 1):
            low, high = ranges[number]
            if low < high:
                ranges[number] = RULES[name](low, high, counts[number])
        steps, layers = steps_of(subnet.space, subnet.arch), list(weighted_layers(subnet))
        content = write_int8(steps, input_shape(subnet.space, subnet.arch), quantise(steps, layers, ranges))
        return correct_biases(subnet, content, images) if corrected else content

    return write


@torch.inference_mode()
def _histograms(subnet: Subnet, images: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    counts = np.zeros((len(ranges), _BINS))
    steps, size = steps_of(subnet.space, subnet.arch), max(1, PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        values, layers = [to_input(images[start : start + size])], weighted_layers(subnet)
        for number, step in enumerate(steps, 1):
            layer = next(layers) if step.weight else None
            values.append(compute(step, [values[i] for i in step.inputs], layer))
            low, high = ranges[number]
            if low < high:
                counts[number] += torch.histc(values[-1], _BINS, low, high).numpy()
    return counts
