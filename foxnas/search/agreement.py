"""Whether the predicted optima and the best measured agree, under every latency that a search may be asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foxnas.search.acquisition import predicted
from foxnas.search.landscape import Landscape
from foxnas.space.arch import Arch
from foxnas.space.terms import FloatArray


def gaps(
    landscape: Landscape, caps_ms: Sequence[float], best: Sequence[Arch], measured: Sequence[Arch], accuracy: FloatArray
) -> FloatArray:
    """Return by how much the predicted accuracy of the optimum exceeds the best measured, for each latency.

    Parameters
    ----------
    best
        The optimum of each latency.
    measured, accuracy
        Subnets, and what was measured of them. Latencies are predicted ones, so that all count alike. Where none is
        that fast, the gap is infinite.
    """
    latency_ms = predicted(landscape.latency, measured)
    within = latency_ms <= np.asarray(caps_ms, dtype=float)[:, None]
    known = np.where(within, accuracy, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(predicted(landscape.accuracy, best) - known)
