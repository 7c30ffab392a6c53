"""Latency budgets: milliseconds, or a percentile of what was measured on the device."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foxnas.errors import FoxnasError

_FORMS = 'write milliseconds (1.5 or "1.5 ms") or a percentile of the measured latencies ("p25")'


#: Characters of a budget as its folder is called: far more than a latency is known to.
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Budget:
    """An upper bound of latency; exactly one of the two fields is set.

    Attributes
    ----------
    ms
        Milliseconds.
    percentile
        Above 0, at most 100; `resolve` turns it into milliseconds.
    """

    ms: float | None = None
    percentile: float | None = None

    def __post_init__(self) -> None:
        if (self.ms is None) == (self.percentile is None):
            raise FoxnasError(f"a budget is either milliseconds or a percentile: {_FORMS}")
        if self.ms is not None and not (math.isfinite(self.ms) and self.ms > 0):
            wanted = "above 0" if self.ms <= 0 else "a finite number above 0"
            raise FoxnasError(f"budget {self.ms} ms must be {wanted}")
        if len(self.name) > _LONGEST_NAME:
            raise FoxnasError(
                f"budget {self.name[:20]}...: is too small, too large or too exact to name a folder; {_FORMS}"
            )
        if self.percentile is not None and not 0 < self.percentile <= 100:
            raise FoxnasError(f"budget p{self.percentile:g}: a percentile is above 0 and at most 100")

    @classmethod
    def parse(cls, value: Any) -> Budget:
        """Read a budget as a config spells it: ``1.5``, ``"1.5 ms"`` or ``"p25"``. Raises FoxnasError."""
        if isinstance(value, Budget):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return cls(ms=float(value) if abs(value) <= sys.float_info.max else math.inf)
        if not isinstance(value, str):
            raise FoxnasError(f"budget {value!r} is not understood: {_FORMS}")
        if match := re.fullmatch(r"\s*[pP]\s*(\d+(?:\.\d+)?)\s*", value):
            return cls(percentile=float(match[1]))
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(?:ms)?\s*", value):
            return cls(ms=float(match[1]))
        hint = ""
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|µs|s)\s*", value):
            hint = f'; {value.strip()} is "{_plain(float(match[1]) * (1000 if match[2] == "s" else 0.001))} ms"'
        elif match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value):
            hint = f'; for that percentile write "p{match[1]}"'
        raise FoxnasError(f"budget {value!r} is not understood: {_FORMS}{hint}")

    @property
    def name(self) -> str:
        """Name of the budget's folder, such as ``p25`` or ``1.5ms``; equal budgets have equal names."""
        return f"{_plain(self.ms)}ms" if self.ms is not None else f"p{_plain(self.percentile or 0)}"

    @property
    def spelling(self) -> str | float | int:
        """How settings spell it, however a config does: the percentile's name, or a number of milliseconds."""
        if self.ms is None:
            return self.name
        return int(self.ms) if self.ms.is_integer() else self.ms

    def resolve(self, latencies_ms: ArrayLike) -> float:
        """Return the budget in milliseconds.

        Parameters
        ----------
        latencies_ms
            Measured latencies of the first 300 uniform subnets of every image size, pooled.

        Raises
        ------
        FoxnasError
            There are no measurements, or one is missing or not above 0.
        """
        measured = np.asarray(latencies_ms, dtype=float).ravel()
        if not measured.size or not np.isfinite(measured).all() or measured.min() <= 0:
            raise FoxnasError(f"budget {self.name}: the measured latencies hold none, or one that is not above 0 ms")
        if self.percentile is not None:
            return float(np.percentile(measured, self.percentile))
        assert self.ms is not None
        return self.ms

    def check_reachable(self, budget_ms: float, fastest_ms: float, kind: str = "measured") -> None:
        """Raise FoxnasError when even the fastest subnet (`kind`: measured, or predicted) is slower than the budget."""
        if fastest_ms > budget_ms:
            raise FoxnasError(
                f"budget {self.name} ({budget_ms:.4g} ms) is met by no subnet: "
                f"the fastest {kind} one takes {fastest_ms:.4g} ms; raise the budget to at least that"
            )


def _plain(number: float) -> str:
    """Shortest decimal form without an exponent: 1.50 -> 1.5, 1e-7 -> 0.0000001."""
    text = format(Decimal(repr(float(number))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
