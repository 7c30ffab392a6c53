"""Ranges that a subnet's values have over calibration images: what their int8 scales have to span.

Every value has the range that it takes itself. TensorFlow's converter (2.15 to 2.21) gives the convolution that feeds
a residual ADD the range of the sum, in which it is up to 22 times too coarse (its open issue 127842).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from foxnas.errors import FoxnasError
from foxnas.images.pixels import to_input
from foxnas.int8.computing import compute, weighted_layers
from foxnas.space.operators import Step, steps_of
from foxnas.supernet.subnet import Subnet

#: Pixels of all images of a batch together: 16 images of 224 px, or all of a few hundred small ones. Bounds the memory.
PIXELS = 16 * 224 * 224


@contextmanager
def one_thread() -> Iterator[None]:
    """The order of a sum, and with it the last bit of a number, would depend on how many threads there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
@torch.inference_mode()
def value_ranges(subnet: Subnet, images: np.ndarray) -> np.ndarray:
    """Return the least and the greatest number of each value: of the images, then of each step's output.

    Parameters
    ----------
    subnet
        Folded.
    images
        uint8 (n, H, W, C).

    Returns
    -------
    float64 (1 + steps, 2). Pixels have [0, 1], whatever the images are.

    Raises
    ------
    FoxnasError
        Some value is infinite or no number.
    """
    steps, layers = steps_of(subnet.space, subnet.arch), list(weighted_layers(subnet))
    ranges = np.tile([np.inf, -np.inf], (len(steps) + 1, 1))
    ranges[0] = 0, 1
    size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        for number, value in enumerate(_values(steps, layers, to_input(images[start : start + size])), 1):
            low, high = (float(extreme) for extreme in value.aminmax())
            ranges[number] = min(low, ranges[number, 0]), max(high, ranges[number, 1])
    if not np.isfinite(ranges).all():
        raise FoxnasError(f"{subnet.arch.text}: some values are not finite on the calibration images; are its weights?")
    return ranges


def _values(steps: Sequence[Step], layers: Sequence[nn.Conv2d | nn.Linear], image: Tensor) -> Iterator[Tensor]:
    """Yield each step's output; what no later step reads is let go."""
    last_use = {value: number for number, step in enumerate(steps) for value in step.inputs}
    kept, unused = {0: image}, iter(layers)
    for number, step in enumerate(steps):
        kept[number + 1] = compute(step, [kept[i] for i in step.inputs], next(unused) if step.weight else None)
        yield kept[number + 1]
        for value in {value for value in step.inputs if last_use[value] == number}:
            del kept[value]
