"""Partial pooling: regressions of several image sizes whose coefficients share as much as held-out errors like.

Of the coefficients of a term at S image sizes, S numbers, any are a sum of S orthogonal polynomials in the size: what
the sizes have in common (degree 0), a slope and a curvature over the sizes (1 and 2), and what is left, a size's own.
Each part is drawn towards zero by a penalty of its own, which is the ridge regression (and the normal posterior) of
b_s = common + slope + curvature + own. Large penalties leave one regression for all sizes, small ones every size its
own; the intercepts are free. Gelman and Hill, *Data Analysis Using Regression and Multilevel Models*, 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag, lapack

from foxnas.predictor.link import Link
from foxnas.space.terms import FloatArray

#: Penalties to choose from. Beside the sum of squares of a standardised term, which is the number of rows.
PENALTIES: FloatArray = np.geomspace(1e-2, 1e6, 17)

#: Where the common part is not to be shrunk: near nothing, so that rows which leave it open still have an answer.
_NOTHING = 1e-6

#: Where the search for the penalties begins: places in `PENALTIES` of common part, slope, curvature and own part.
_START = (4, 6, 8, 9)

#: An error that no penalties can have: they leave a row's prediction to itself.
_IMPOSSIBLE = float("inf")

Values = Sequence[FloatArray]
"""One array of rows per image size."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What a choice of penalties makes of the rows.

    Attributes
    ----------
    inverse
        (Z'Z + P)^-1 of all sizes' standardised terms: (sizes x terms, sizes x terms).
    leverage
        By size, the diagonal of the matrix that turns measured values into fitted ones.
    """

    inverse: FloatArray
    leverage: Values


@dataclass(frozen=True, eq=False)
class PartialPooling:
    """The rows of several image sizes, ready to be fitted with any penalties.

    Attributes
    ----------
    terms
        By size, the terms less their means there, over `spread`: (rows, terms).
    centres
        These means.
    spread
        One per term, over all sizes, so that a coefficient means the same at each.
    parts
        Orthogonal polynomials in the image size: (sizes, degrees).
    """

    terms: Values
    centres: Values
    spread: FloatArray
    parts: FloatArray

    @classmethod
    def of(cls, image_sizes: Sequence[int], designs: Values) -> PartialPooling:
        """Return the regression on the terms of every image size's rows."""
        centres = [design.mean(axis=0) for design in designs]
        centred = [design - centre for design, centre in zip(designs, centres, strict=True)]
        spread = np.sqrt(sum((one**2).sum(axis=0) for one in centred) / sum(map(len, designs)))
        sizes = np.asarray(image_sizes, dtype=float)
        powers = np.vander((sizes - sizes.mean()) / (np.ptp(sizes) or 1), increasing=True)
        return cls([one / spread for one in centred], centres, spread, np.linalg.qr(powers)[0])

    @property
    def degrees(self) -> int:
        """How many penalties there are: the fourth is for all that is a size's own."""
        return min(len(self.terms), len(_START))

    @cached_property
    def squares(self) -> FloatArray:
        """Z'Z, one block per size."""
        return np.asarray(block_diag(*(z.T @ z for z in self.terms)))

    def shared(self, penalties: Sequence[float]) -> Shared | None:
        """Return what penalties, as many as `degrees`, make of the rows; None where they leave a row to itself."""
        sizes, terms = len(self.terms), len(self.spread)
        of_parts = np.array([*penalties, *[penalties[-1]] * (sizes - len(penalties))])
        penalty = np.kron((self.parts * of_parts) @ self.parts.T, np.eye(terms))
        factor, failed = lapack.dpotrf(self.squares + penalty, lower=1)
        if failed:
            return None
        inverse = np.tril(lapack.dpotri(factor, lower=1)[0])
        inverse += np.tril(inverse, -1).T
        leverage = [
            1 / len(z) + np.einsum("ij,ij->i", z @ self.of_size(inverse, size), z) for size, z in enumerate(self.terms)
        ]
        return Shared(inverse, leverage) if max(map(np.max, leverage)) < 1 - 1e-9 else None

    def of_size(self, matrix: FloatArray, size: int) -> FloatArray:
        """Return the block of one size."""
        own = slice(size * len(self.spread), (size + 1) * len(self.spread))
        return matrix[own, own]

    def slopes(self, shared: Shared, link: Link, y: Values) -> FloatArray:
        """Return the coefficients of the standardised terms, on the scale of the link's sums: (sizes, terms).

        The sizes share effects in the target's unit: under a link that bends, sums count by the slope at a size's mean.
        """
        units = [link.slope(values.mean()) for values in y]
        sums = [link.forward(values) for values in y]
        pulls = [unit * (s - s.mean()) @ z for unit, s, z in zip(units, sums, self.terms, strict=True)]
        found = (shared.inverse @ np.concatenate(pulls)).reshape(len(y), -1)
        return np.asarray(found / np.array(units)[:, None])

    def missed(self, shared: Shared, link: Link, y: Values) -> Values:
        """Return by how much the fit without a row misses it, in the target's unit; penalties and link are given."""
        slopes, found = self.slopes(shared, link, y), []
        for values, z, own, leverage in zip(y, self.terms, slopes, shared.leverage, strict=True):
            sums = link.forward(values)
            residual = sums - sums.mean() - z @ own
            found.append(values - link.inverse(sums - residual / (1 - leverage)))
        return found

    def error(self, shared: Shared | None, link: Link, y: Values) -> float:
        """Return the sum of these squares."""
        if shared is None:
            return _IMPOSSIBLE
        return float(sum((missed**2).sum() for missed in self.missed(shared, link, y)))

    def best_penalties(
        self, link: Link, y: Values, shrink: bool, start: Sequence[float] | None = None
    ) -> tuple[float, ...]:
        """Return the penalties with the smallest leave-one-out error, by going downhill from `start`.

        Parameters
        ----------
        shrink
            Whether the common part is drawn towards zero, too.
        """
        first = 0 if shrink else 1
        places = list(_START[: self.degrees]) if start is None else [int(np.abs(PENALTIES - p).argmin()) for p in start]

        def penalties(at: Sequence[int]) -> tuple[float, ...]:
            chosen = PENALTIES[list(at)].tolist()
            return tuple(chosen if shrink else [_NOTHING, *chosen[1:]])

        found = _downhill(
            places, range(first, self.degrees), len(PENALTIES),
            lambda at: self.error(self.shared(penalties(at)), link, y),
        )  # fmt: skip
        return penalties(found)


def _downhill(
    places: Sequence[int], free: Sequence[int], count: int, error: Callable[[Sequence[int]], float]
) -> tuple[int, ...]:
    """Return the places on a grid from which no step along one axis lowers the error."""
    known: dict[tuple[int, ...], float] = {}

    def of(at: tuple[int, ...]) -> float:
        if at not in known:
            known[at] = error(at)
        return known[at]

    here = tuple(places)
    while True:
        before = here
        for axis in free:
            for step in (1, -1):
                while 0 <= here[axis] + step < count:
                    there = (*here[:axis], here[axis] + step, *here[axis + 1 :])
                    if of(there) >= of(here):
                        break
                    here = there
        if here == before:
            return here
