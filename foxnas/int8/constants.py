"""int8 constants that every graph of a kind has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from foxnas.int8.graph import Constant, Scale
from foxnas.space.operators import Step

#: A raw pixel is a quantised number already: real value = (q + 128) / 255.
PIXELS = Scale.of(1 / 255, -128)
#: What `Kind.SIXTH` multiplies by: 1/6, exactly.
SIXTH = Constant(np.array([127], np.int8), Scale.of(1 / 6 / 255, -128))


def pixel_mean(steps: Iterable[Step]) -> Constant | None:
    """Return what `Kind.CENTRE` takes from the pixels, (channels,), if there is one."""
    mean = next((step.mean for step in steps if step.mean), None)
    if mean is None:
        return None
    scale = max(mean) / 255
    return Constant((np.array(mean) / scale - 128).round().astype(np.int8), Scale.of(scale, -128))
