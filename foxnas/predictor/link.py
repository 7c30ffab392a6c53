"""Link of a regression: the scale on which a prediction is a sum over units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from foxnas.space.terms import FloatArray

LinkName = Literal["identity", "log-complement"]
LINKS: tuple[LinkName, ...] = get_args(LinkName)

#: As the config spells it. auto: of the two the one with the smaller cross-validated error, at each image size.
LinkChoice = Literal["auto", "identity", "log-complement"]

#: Whether image sizes are fitted apart or together, as the config spells it.
Sizes = Literal["apart", "together"]


@dataclass(frozen=True)
class Link:
    """The identity, or -log(c - y) for an accuracy y that saturates at the asymptote c.

    Both rise with y, so that of subnets of one image size the order of the sums is that of the predictions. The second
    is the log-complement link of generalised linear models, log(1 - p), with its sign turned and c instead of 1.

    Attributes
    ----------
    asymptote
        c, in the target's unit; None: the identity.
    """

    asymptote: float | None = None

    @property
    def name(self) -> LinkName:
        """Its name in a config."""
        return "identity" if self.asymptote is None else "log-complement"

    def forward(self, values: ArrayLike) -> FloatArray:
        """Return the sums that stand for values; infinity at the asymptote and above."""
        y = np.asarray(values, dtype=float)
        if self.asymptote is None:
            return y
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(np.maximum(self.asymptote - y, 0.0)))

    def inverse(self, sums: ArrayLike) -> FloatArray:
        """Return the values that sums stand for."""
        z = np.asarray(sums, dtype=float)
        if self.asymptote is None:
            return z
        with np.errstate(over="ignore"):
            return np.asarray(self.asymptote - np.exp(-z))

    def slope(self, values: ArrayLike) -> FloatArray:
        """Return by how much a value rises with its sum: 1, or what is left to the asymptote."""
        y = np.asarray(values, dtype=float)
        return np.ones_like(y) if self.asymptote is None else np.asarray(self.asymptote - y)

    def change(self, value: float | np.float64, rise: float | np.float64) -> float:
        """Return by how much a value changes when its sum rises by `rise`, without the rounding of a difference."""
        return float(rise if self.asymptote is None else (self.asymptote - value) * -np.expm1(-rise))


#: The paper's link.
IDENTITY = Link()
