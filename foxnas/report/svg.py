"""Small charts as inline SVG: the page's style sheet colours them, so they follow a dark screen and print well.

A chart of 300 dots is a few kilobytes, because dots of one look are one path of zero-length strokes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

#: Half the width of the largest dot, in pixels: so far outside the area one still shows.
_REACH = 3.0


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto pixels from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @classmethod
    def around(cls, values: ArrayLike, start: float, stop: float, *, log: bool = False, margin: float = 0.04) -> Scale:
        """Return the scale that holds all `values`, and a margin on either side."""
        known = np.asarray(values, dtype=float).ravel()
        known = known[np.isfinite(known)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if log:
            reach = (high / low) ** margin if high > low else 1.1
            return cls(low / reach, high * reach, start, stop, True)
        reach = margin * (high - low) or abs(high) * margin or 1.0
        return cls(low - reach, high + reach, start, stop)

    def __call__(self, values: ArrayLike) -> FloatArray:
        """Return pixels."""
        low, high, given = self.low, self.high, np.asarray(values, dtype=float)
        if self.log:
            low, high, given = np.log(low), np.log(high), np.log(given)
        return np.asarray(self.start + (given - low) / (high - low) * (self.stop - self.start))

    def ticks(self, count: int) -> list[float]:
        """Return at most about `count` round values."""
        if not count:
            return []
        if self.log:
            for subs in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
                found = [
                    t for t in LogLocator(subs=subs, numticks=99).tick_values(self.low, self.high) if self.holds(t)
                ]
                if len(found) <= count + 2:
                    break
            if len(found) >= 3:
                return list(map(float, found))
        ticks = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        return [float(tick) for tick in ticks if self.holds(tick)]

    def holds(self, value: float) -> bool:
        """Return whether a value lies within the scale."""
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Margins:
    """Room around the plotting area, in pixels."""

    left: float = 52
    right: float = 10
    top: float = 10
    bottom: float = 40


class Chart:
    """A plotting area with two labelled axes. What is added later lies on top; everything is clipped to the area."""

    def __init__(
        self,
        width: float,
        height: float,
        x: ArrayLike,
        y: ArrayLike,
        *,
        x_label: str,
        y_label: str,
        title: str,
        log_x: bool = False,
        margins: Margins | None = None,
        margin: float = 0.04,
    ) -> None:
        self.width, self.height, self._title = width, height, title
        self.margins = margins or Margins()
        self._labels = (x_label, y_label)
        self._log_x, self._margin, self._limits = log_x, margin, (x, y)
        self._inside: list[str] = []
        self._outside: list[str] = []

    @cached_property
    def x(self) -> Scale:
        """The horizontal scale."""
        stop = self.width - self.margins.right
        return Scale.around(self._limits[0], self.margins.left, stop, log=self._log_x, margin=self._margin)

    @cached_property
    def y(self) -> Scale:
        """The vertical scale; pixels grow downwards."""
        return Scale.around(self._limits[1], self.height - self.margins.bottom, self.margins.top, margin=self._margin)

    def dots(self, x: ArrayLike, y: ArrayLike, look: str) -> None:
        """Add one dot a pair of values; the class `look` sets size (stroke width) and colour.

        Left out is what would not be seen: dots outside the area, and all but the first on the same half pixel. So a
        close-up costs what it shows, however large the sample is.
        """
        xs, ys = self.x(x).ravel(), self.y(y).ravel()
        left, top = self.margins.left, self.margins.top
        across, down = self.width - self.margins.right, self.height - self.margins.bottom
        seen = np.flatnonzero(
            (xs > left - _REACH) & (xs < across + _REACH) & (ys > top - _REACH) & (ys < down + _REACH)
        )
        _, first = np.unique(np.round(2 * np.column_stack([xs, ys])[seen]), axis=0, return_index=True)
        kept = seen[np.sort(first)]
        self._inside.append(f'<path class="dots {look}" d="{dots(xs[kept], ys[kept])}"/>')

    def line(self, x: ArrayLike, y: ArrayLike, look: str) -> None:
        """Add a line through pairs of values."""
        self._inside.append(f'<path class="line {look}" d="{polyline(self.x(x), self.y(y))}"/>')

    def steps(self, x: ArrayLike, y: ArrayLike, look: str) -> None:
        """Add a line that keeps each value until the next; x ascends. Left out is what lies beside the area."""
        xs, ys = self.x(x).ravel(), self.y(y).ravel()
        first = max(int(np.searchsorted(xs, self.margins.left)) - 1, 0)
        stop = int(np.searchsorted(xs, self.width - self.margins.right)) + 1
        self._inside.append(f'<path class="line {look}" d="{staircase(xs[first:stop], ys[first:stop])}"/>')

    def vertical(self, value: float, look: str) -> None:
        """Add a vertical line over the whole height."""
        at = float(self.x(value))
        self._inside.append(
            f'<path class="line {look}" d="M{at:.1f} {self.margins.top}V{self.height - self.margins.bottom}"/>'
        )

    def horizontal(self, value: float, look: str) -> None:
        """Add a horizontal line over the whole width."""
        at = float(self.y(value))
        self._inside.append(
            f'<path class="line {look}" d="M{self.margins.left} {at:.1f}H{self.width - self.margins.right}"/>'
        )

    def marks(self, x: ArrayLike, y: ArrayLike, look: str, shape: str, size: float, titles: Sequence[str] = ()) -> None:
        """Add marks of a shape ("diamond", "circle", "square", "cross"), with a tooltip each if `titles` are given."""
        xs, ys = np.atleast_1d(self.x(x)), np.atleast_1d(self.y(y))
        for i, (px, py) in enumerate(zip(xs, ys, strict=True)):
            title = f"<title>{escape(titles[i])}</title>" if titles else ""
            self._inside.append(f'<path class="mark {look}" d="{mark(shape, px, py, size)}">{title}</path>')

    def text(
        self, x: float, y: float, words: str, look: str = "", anchor: str = "start", *, pixels: bool = False
    ) -> None:
        """Add words at a pair of values, or of pixels."""
        px, py = (x, y) if pixels else (float(self.x(x)), float(self.y(y)))
        self._outside.append(text(px, py, words, look, anchor))

    def raw(self, markup: str, *, outside: bool = False) -> None:
        """Add SVG in pixels; `outside` the plotting area it is not clipped."""
        (self._outside if outside else self._inside).append(markup)

    def svg(self, look: str = "", x_ticks: int = 6, y_ticks: int = 6, identity: str = "") -> Markup:
        """Return the chart."""
        left, top = self.margins.left, self.margins.top
        right, bottom = self.width - self.margins.right, self.height - self.margins.bottom
        parts = []
        for tick in self.x.ticks(x_ticks):
            at = float(self.x(tick))
            parts.append(f'<path class="grid" d="M{at:.1f} {top}V{bottom}"/>')
            parts.append(text(at, bottom + 14, f"{tick:g}", "tick", "middle"))
        for tick in self.y.ticks(y_ticks):
            at = float(self.y(tick))
            parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
            parts.append(text(left - 6, at + 3.5, f"{tick:g}", "tick", "end"))
        parts.append(
            f'<svg x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
            f'viewBox="{left} {top} {right - left} {bottom - top}">{"".join(self._inside)}</svg>'
        )
        parts.append(f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>')
        parts.append(text((left + right) / 2, self.height - 6, self._labels[0], "label", "middle"))
        middle = (top + bottom) / 2
        parts.append(
            f'<text class="label" text-anchor="middle" transform="translate(12 {middle:.1f}) rotate(-90)">'
            f"{escape(self._labels[1])}</text>"
        )
        return frame(self.width, self.height, "".join([*parts, *self._outside]), self._title, look, identity)


def frame(width: float, height: float, content: str, title: str, look: str = "", identity: str = "") -> Markup:
    """Return an SVG element of at most `width` pixels that scales down with its column."""
    name = f' id="{identity}"' if identity else ""
    return Markup(
        f'<svg{name} class="chart {look}" viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" '
        f'role="img" aria-label="{escape(title)}">{content}</svg>'
    )


def text(x: float, y: float, words: str, look: str = "", anchor: str = "start") -> str:
    """Return words at a pair of pixels."""
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def dots(x: ArrayLike, y: ArrayLike) -> str:
    """Return a path with a zero-length stroke at each pair of pixels: round caps make it a dot."""
    return "".join(f"M{px:.1f} {py:.1f}h0" for px, py in _pairs(x, y))


def polyline(x: ArrayLike, y: ArrayLike) -> str:
    """Return a path through pairs of pixels."""
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in _pairs(x, y))


def staircase(x: ArrayLike, y: ArrayLike) -> str:
    """Return a path through pairs of pixels that goes across to each, and then up or down."""
    (px, py), *others = _pairs(x, y)
    return f"M{px:.1f} {py:.1f}" + "".join(f"H{px:.1f}V{py:.1f}" for px, py in others)


def mark(shape: str, x: float, y: float, size: float) -> str:
    """Return the path of a mark with the half width `size`, in pixels."""
    s = size
    if shape == "diamond":
        return f"M{x:.1f} {y - s:.1f}l{s} {s}l{-s} {s}l{-s} {-s}z"
    if shape == "square":
        return f"M{x - s:.1f} {y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z"
    if shape == "cross":
        return f"M{x - s:.1f} {y - s:.1f}l{2 * s} {2 * s}m0 {-2 * s}l{-2 * s} {2 * s}"
    return f"M{x - s:.1f} {y:.1f}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 {-2 * s} 0z"


def _pairs(x: ArrayLike, y: ArrayLike) -> Iterable[tuple[float, float]]:
    return zip(np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel(), strict=True)
