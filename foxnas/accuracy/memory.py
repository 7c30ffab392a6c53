"""How much memory an evaluation takes, so that a job asks for what it needs on whatever space, size and batch.

Imported while the DAG is built, so nothing heavy may be reached from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace

#: Python with torch and pandas, and what their allocators take besides: 0.62 to 0.64 GB with small networks.
BASE_MB = 1000

#: Activations that a float32 pass holds at its peak, relative to those that an operator-by-operator plan of the same
#: network does: it keeps an operator's input, its output, what the batch norm made of it, and scratch of the kernels.
#: Between two sizes of the `cpu` space, 128 and 320 px, the measured peak grew by 2.2 times the plan's.
KEPT = 2.5

#: Subnets of one image size that are evaluated in one pass over the images.
TOGETHER = 8

#: What the first block, and the blocks that several subnets begin with, make of the recalibration images is held up to
#: this size in all, and computed anew for every subnet above it.
HELD_BYTES = 512 * 10**6


def evaluation_mb(
    space: SearchSpace, image_sizes: Iterable[int], batch_size: int, recalibration_images: int
) -> dict[int, int]:
    """Return, by image size, an upper bound of the resident memory of a process that evaluates any subnet, in MB.

    The largest subnet's activations grow with the batch and with the square of the size; `TOGETHER` subnets' weights
    and, up to `HELD_BYTES`, what the blocks that several begin with make of the recalibration images are held. The
    images are mapped: the system takes their pages back when it is short, so neither their number nor their size
    counts. Held against measured peaks in tests/flow/test_resources.py; figures are in docs/evidence/evaluation.md.
    """
    return {size: _bound_mb(space, size, batch_size, recalibration_images) for size in image_sizes}


@lru_cache  # several rules ask the same
def _bound_mb(space: SearchSpace, size: int, batch_size: int, recalibration_images: int) -> int:
    costs = costs_of(space, space.largest(size))
    begun = 4 * recalibration_images * _values_between_blocks(space, size)
    fixed = BASE_MB + (min(begun, HELD_BYTES) + TOGETHER * 4 * costs.parameters) / 1e6
    return math.ceil(fixed + KEPT * batch_size * 4 * costs.activation_bytes / 1e6)


def _values_between_blocks(space: SearchSpace, size: int) -> int:
    """Return how many values the blocks of the largest subnet put out for an image."""
    side = math.ceil(size / space.stem_stride)
    values = space.first_block().width * side**2
    for unit, choices in zip(space.units, space.choices, strict=True):
        side = math.ceil(side / unit.stride)
        values += choices.depths[-1] * unit.width * side**2
    return values
