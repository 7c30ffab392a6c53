"""int8 constants that every graph of a kind has."""

from __future__ import annotations

import numpy as np

from foxnas.int8.graph import Constant, Scale
from foxnas.space.operators import PIXEL_MEAN

#: A raw pixel is a quantised number already: real value = (q + 128) / 255.
PIXELS = Scale.of(1 / 255, -128)
#: What `Kind.SIXTH` multiplies by: 1/6, exactly.
SIXTH = Constant(np.array([127], np.int8), Scale.of(1 / 6 / 255, -128))
_MEAN_SCALE = max(PIXEL_MEAN) / 255
#: What `Kind.CENTRE` takes from the pixels.
CENTRE = Constant((np.array(PIXEL_MEAN) / _MEAN_SCALE - 128).round().astype(np.int8), Scale.of(_MEAN_SCALE, -128))
