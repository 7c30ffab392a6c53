"""Links of the image sizes of a landscape: from sums over units to accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foxnas.predictor.link import Link
from foxnas.space.terms import FloatArray


@dataclass(frozen=True)
class SizeLinks:
    """The link of every image size's accuracy predictor; sizes are indices."""

    each: Sequence[Link]

    @property
    def bent(self) -> bool:
        """Whether the link of a size is not the identity."""
        return self._asymptotes is not None

    @cached_property
    def _asymptotes(self) -> FloatArray | None:
        """Of each size's link, NaN where it is the identity; None where all are."""
        found = [link.asymptote for link in self.each]
        return None if found == [None] * len(found) else np.array(found, dtype=float)

    def accuracy(self, sizes: NDArray[np.intp], sums: FloatArray) -> FloatArray:
        """Return the accuracies that sums stand for at image sizes; arrays that broadcast."""
        if self._asymptotes is None:
            return sums
        asymptotes = self._asymptotes[sizes]
        with np.errstate(over="ignore"):
            # In one piece, so that numpy computes the same bits however many there are.
            bent = asymptotes - np.exp(-np.ascontiguousarray(sums))
        return np.where(np.isnan(asymptotes), sums, bent)

    def tangents(self, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return offset and slope of each size's accuracy at a sum, (..., sizes): nowhere below it, and exact there.

        Under the identity they are 0 and 1.
        """
        if self._asymptotes is None:
            return np.zeros_like(sums), np.ones_like(sums)
        accuracy = self.accuracy(np.arange(len(self.each)), sums)
        slope = np.where(np.isnan(self._asymptotes), 1.0, self._asymptotes - accuracy)
        return accuracy - slope * sums, slope
