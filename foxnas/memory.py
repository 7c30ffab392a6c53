"""How much memory an evaluation takes, so that a job asks for what it needs on whatever space, size and batch.

Imported while the DAG is built, so nothing heavy may be reached from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from foxnas.costs import costs_of
from foxnas.space import SearchSpace

#: Python with torch and pandas, and what their allocators take besides: 0.84 to 0.95 GB, measured with small networks.
BASE_MB = 1200

#: Activations that a float32 pass holds at its peak, relative to those that an operator-by-operator plan of the same
#: network does: it keeps an operator's input, its output, what the batch norm made of it, and scratch of the kernels.
#: Between two sizes of the `cpu` space, 128 and 320 px, the measured peak grew by 2.2 times the plan's.
KEPT = 2.5


def evaluation_mb(
    space: SearchSpace, image_sizes: Iterable[int], batch_size: int, recalibration_images: int
) -> dict[int, int]:
    """Return, by image size, an upper bound of the resident memory of a process that evaluates any subnet, in MB.

    The largest subnet's activations grow with the batch and with the square of the size; the recalibration images are
    held as float32. The images it is evaluated on are mapped: the system takes their pages back when it is short, so
    neither their number nor their size counts. Held against measured peaks in tests/test_jobs.py; figures are in
    docs/cluster.md.
    """
    return {
        size: math.ceil(
            BASE_MB
            + (
                KEPT * batch_size * 4 * costs_of(space, space.largest(size)).activation_bytes
                + recalibration_images * size * size * space.image_channels * 4
            )
            / 1e6
        )
        for size in image_sizes
    }
