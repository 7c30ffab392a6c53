"""A differentiable relaxation in the spirit of Single-Path NAS (Stamoulis et al., 2019).

Choices are soft, and latency is in the loss.

An architecture is relaxed to a probability for each image size and, at each place, for each unit class. Predictions
are linear in each of these, so the expected accuracy and latency, and their gradients, are products with the
predictors' tables; under a link that bends, the expected sum stands for the accuracy. The logits follow the gradient
of the objective less multipliers times the caps, the multipliers follow the caps (dual ascent); both from several
random beginnings at once. What is drawn from the probabilities on the way is judged as it is, without relaxation, so
candidates keep every cap, those on architectures included; the loss sees the objective's and the caps' dependence on
predicted accuracy and latency only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.landscape import Batch, Landscape
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.record import Record
from foxnas.search.selection import Selection
from foxnas.space.terms import FloatArray

#: Relative step of the finite differences through objectives and caps.
_STEP = 1e-4


@dataclass(frozen=True)
class DifferentiableSettings:
    """Settings of the relaxation. A step is one call a beginning: the predictors of one soft architecture.

    Attributes
    ----------
    steps
        Gradient steps.
    beginnings
        Independent runs, from random logits.
    rate
        Size of a step of the logits, in units of the inverse spread (standard deviation) of what units add to the
        objective.
    multiplier_rate
        Size of a step of the multipliers, as a share of the objective's range, where a cap's excess is a share of the
        limit or of the range of its cost, whichever is smaller.
    draw_every, draws
        Every `draw_every` steps, `draws` architectures are drawn from each run.
    selection
        Which architectures become candidates.
    """

    steps: int = 600
    beginnings: int = 4
    rate: float = 0.1
    multiplier_rate: float = 0.07
    draw_every: int = 10
    draws: int = 32
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("steps", "beginnings", "draw_every", "draws"):
            if getattr(self, name) < 1:
                raise FoxnasError(f"differentiable search: {name} {getattr(self, name)} must be at least 1")
        for name in ("rate", "multiplier_rate"):
            if not getattr(self, name) > 0:
                raise FoxnasError(f"differentiable search: {name} {getattr(self, name)} must be above 0")


def search(problem: SearchProblem, settings: DifferentiableSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best architectures drawn on the way. Reproducible by the generator's seed. Raises Infeasible."""
    record, relaxed = Record(problem, settings.selection), _Relaxed(problem.landscape)
    record.starts()
    landscape, runs = problem.landscape, settings.beginnings
    sizes, units, classes = landscape.accuracy_tables.shape
    caps = [cap for cap in problem.all_caps if cap.monotone]
    multipliers = np.zeros((len(caps), runs))
    of_sizes, of_units = rng.normal(0, 0.1, (runs, sizes)), rng.normal(0, 0.1, (runs, units, classes))
    of_units = np.where(landscape.allowed, of_units, -np.inf)
    soft = relaxed.predict(_softmax(of_sizes), _softmax(of_units))
    begun = soft.batch
    spread, reach = relaxed.spread(soft, _slopes(problem.objective.value, begun))
    rate = settings.rate / spread
    ranges = [min(relaxed.spread(soft, _slopes(cap.cost, begun))[1], abs(cap.limit) or np.inf) for cap in caps]
    for step in range(1, settings.steps + 1):
        soft = relaxed.predict(_softmax(of_sizes), _softmax(of_units))
        record.calls += runs
        slopes = np.array(_slopes(problem.objective.value, soft.batch))
        for j, (cap, width) in enumerate(zip(caps, ranges, strict=True)):
            over = (cap.cost(soft.batch) - cap.limit) / width
            multipliers[j] = np.maximum(multipliers[j] + settings.multiplier_rate * reach * over, 0)
            slopes -= multipliers[j] / width * np.array(_slopes(cap.cost, soft.batch))
        gain_of_sizes, gain_of_units = relaxed.gradients(soft, slopes[0], slopes[1])
        of_sizes, of_units = of_sizes + rate * gain_of_sizes, of_units + rate * gain_of_units
        if step % settings.draw_every == 0 or step == settings.steps:
            drawn_sizes = _draw(_softmax(of_sizes), settings.draws, rng)
            drawn_units = _draw(_softmax(of_units).reshape(runs * units, classes), settings.draws, rng)
            drawn_units = drawn_units.reshape(runs, units, settings.draws).transpose(0, 2, 1)
            record.see(drawn_sizes.ravel(), drawn_units.reshape(-1, units))
    return record.finish("differentiable")


@dataclass(frozen=True, eq=False)
class _Soft:
    """Soft architectures: their choices and what is predicted of them, by image size and on the whole."""

    size_shares: FloatArray
    unit_shares: FloatArray
    sums: FloatArray
    accuracy: FloatArray
    latency_ms: FloatArray
    batch: Batch
    """Expected accuracy and latency, with the most probable architecture."""


class _Relaxed:
    """Predictions and gradients of soft architectures: (runs, sizes) and (runs, units, classes) of probabilities."""

    def __init__(self, landscape: Landscape) -> None:
        self._landscape = landscape
        sizes = len(landscape.image_sizes)
        self._accuracy = landscape.accuracy_tables.reshape(sizes, -1)
        self._latency = landscape.latency_tables_ms.reshape(sizes, -1)

    def predict(self, size_shares: FloatArray, unit_shares: FloatArray) -> _Soft:
        """Return the expected predictions."""
        flat = unit_shares.reshape(len(unit_shares), -1)
        sums = self._landscape.accuracy_intercepts + flat @ self._accuracy.T
        accuracy = self._landscape.links.accuracy(np.arange(len(self._landscape.image_sizes)), sums)
        latency_ms = self._landscape.latency_intercepts_ms + flat @ self._latency.T
        batch = Batch(
            self._landscape, size_shares.argmax(axis=1), unit_shares.argmax(axis=2),
            (size_shares * accuracy).sum(axis=1), (size_shares * latency_ms).sum(axis=1),
        )  # fmt: skip
        return _Soft(size_shares, unit_shares, sums, accuracy, latency_ms, batch)

    def spread(self, soft: _Soft, slopes: tuple[FloatArray, FloatArray]) -> tuple[float, float]:
        """Return a function's standard deviation over a place's unit classes and its range over the space; 1 for 0."""
        per_point, per_ms = (float(slope.mean()) for slope in slopes)
        points = (
            self._landscape.links.tangents(soft.sums.mean(axis=0))[1][:, None, None] * self._landscape.accuracy_tables
        )
        tables = per_point * points + per_ms * self._landscape.latency_tables_ms
        return float(tables.std(axis=2).mean()) or 1.0, float(np.ptp(tables, axis=2).sum(axis=1).max()) or 1.0

    def gradients(self, soft: _Soft, per_point: FloatArray, per_ms: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the loss's derivatives by the probabilities of sizes and of unit classes.

        As steps of the logits they are the natural gradient (mirror ascent): a choice gains what it is better than
        the others by, however improbable it is by now.
        """
        of_sizes = per_point[:, None] * soft.accuracy + per_ms[:, None] * soft.latency_ms
        slope = self._landscape.links.tangents(soft.sums)[1]
        of_units = (per_point[:, None] * soft.size_shares * slope) @ self._accuracy
        of_units += (per_ms[:, None] * soft.size_shares) @ self._latency
        return of_sizes, of_units.reshape(soft.unit_shares.shape)


def _slopes(value: Callable[[Batch], FloatArray], batch: Batch) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives by predicted accuracy and by latency, by central differences."""
    slopes = []
    for name in ("accuracy", "latency_ms"):
        at = getattr(batch, name)
        step = _STEP * np.maximum(np.abs(at), 1e-9)
        above, below = (dataclasses.replace(batch, **{name: at + sign * step}) for sign in (1, -1))
        slopes.append((np.asarray(value(above), dtype=float) - value(below)) / (2 * step))
    return slopes[0], slopes[1]


def _softmax(logits: FloatArray) -> FloatArray:
    shares: FloatArray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares


def _draw(shares: FloatArray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` draws for each row of probabilities: (rows, count)."""
    bounds = np.cumsum(shares, axis=1)
    uniform = rng.random((len(shares), count)) * bounds[:, -1:]
    drawn = [np.searchsorted(row, number, side="right") for row, number in zip(bounds, uniform, strict=True)]
    # Rounded up to the very end, a number is of the last choice with a probability.
    last = shares.shape[1] - 1 - (shares[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(drawn, last[:, None])
