"""Which knobs to change, and to what: the two sets of weights that guide annealing, derived from the predictors.

Knobs are weighted by their main effects, their values by how often good units have them once time has its price.
Both are closed forms over the tables of the predictors, so they cost no predictor call and follow every refit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foxnas.search.landscape import Landscape, Point, UnitLayers
from foxnas.search.problem import SearchProblem
from foxnas.space.layers import UnitChoices
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray

#: Share of the values that is drawn evenly.
UNGUIDED = 0.1

_BISECTIONS = 40

#: Tangents of a link that bends, each where the one before has its best subnet.
_TANGENTS = 3


class Knob(NamedTuple):
    """One parameter of the paper: the image size, or one of a unit's five (`*_rest`: its layers after the first).

    Where only units of layers that are all alike are searched, a unit has three: D, K and E.
    """

    kind: str
    """size, D, K, E, K_first, E_first, K_rest or E_rest."""
    unit: int = 0


@dataclass(frozen=True, eq=False)
class Effects:
    """Main effect of each knob: the range of the mean prediction over its choices, everything else uniform.

    Attributes
    ----------
    knobs
        Every knob with several choices: 26 in the paper's CPU space.
    accuracy, latency_ms
        One entry per knob, averaged over the image sizes; in the predictors' units.
    """

    knobs: tuple[Knob, ...]
    accuracy: FloatArray
    latency_ms: FloatArray


def knobs_of(landscape: Landscape) -> tuple[Knob, ...]:
    """Return every knob with several choices."""
    kinds = ("D", "K", "E") if landscape.alike else ("D", "K_first", "E_first", "K_rest", "E_rest")
    of_units = [
        Knob(kind, unit)
        for kind in kinds
        for unit, choices in enumerate(landscape.space.choices)
        if len(values_of(choices, kind)) > 1 and (choices.later_depths or not kind.endswith("rest"))
    ]
    return (*([Knob("size")] if len(landscape.image_sizes) > 1 else []), *of_units)


def values_of(choices: UnitChoices, kind: str) -> tuple[int, ...]:
    """Return the values of a unit's knob."""
    return {"D": choices.depths, "K": choices.kernel_sizes, "E": choices.expansion_ratios}[kind[0]]


def main_effects(landscape: Landscape) -> Effects:
    """Return every knob's main effect on predicted accuracy and latency, in closed form.

    Means are over the uniform distribution over knobs (`SearchSpace.draw`), exact, not sampled: each unit up to
    the order of its layers has a known probability. A knob of the layers after the first sets them all alike.
    """
    space = landscape.space
    by_choices = {choices: _probabilities(landscape, choices) for choices in space.choices}
    chances = [by_choices[choices] for choices in space.choices]
    latency_ms = landscape.latency_tables_ms[:, :, landscape.class_of_ordering]
    mean_accuracy, accuracy = _mean_accuracy(landscape, chances)
    tables = [accuracy, latency_ms]
    means = [mean_accuracy, landscape.latency_intercepts_ms + _means(latency_ms, chances).sum(axis=1)]
    effects: list[list[float]] = []
    shares = _shares_of_values(landscape)
    for knob in (knobs := knobs_of(landscape)):
        if knob.kind == "size":
            effects.append([float(np.ptp(mean)) for mean in means])
        else:
            given = (shares[knob.kind] == 1) * chances[knob.unit]
            given = given[possible_values(space, knob)]
            given /= given.sum(axis=1, keepdims=True)
            # (image size, choice): range over choices, mean over sizes.
            effects.append([float(np.ptp(t[:, knob.unit] @ given.T, axis=1).mean()) for t in tables])
    return Effects(knobs, *np.array(effects).reshape(-1, 2).T)


def _means(tables: FloatArray, chances: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of each place's table of orderings, given their probabilities at each place: (..., unit)."""
    if all(chance is chances[0] for chance in chances):
        return tables @ chances[0]
    return np.stack([tables[..., unit, :] @ chance for unit, chance in enumerate(chances)], axis=-1)


def _mean_accuracy(landscape: Landscape, chances: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the mean accuracy of each size, and what a unit of each ordering adds to it, the others being random.

    Each place's probabilities are (units, entries of `orderings`), 0 where it may not have one. What units add is up to
    a constant for each place. Units are independent, so that under the log-complement link the mean of exp(-sum), which
    is what is left to the asymptote, is the product of the units' means.
    """
    tables = landscape.accuracy_tables[:, :, landscape.class_of_ordering]
    means, added = landscape.accuracy_intercepts + _means(tables, chances).sum(axis=1), tables.copy()
    for size, link in enumerate(landscape.links.each):
        if link.asymptote is not None:
            left = np.exp(-tables[size])
            of_units = _means(left, chances)
            whole = np.exp(-landscape.accuracy_intercepts[size]) * of_units.prod()
            means[size], added[size] = link.asymptote - whole, -whole / of_units[:, None] * left
    return means, added


def phase_weights(effects: Effects) -> tuple[FloatArray, FloatArray]:
    """Return the weights of the two phases; each sums to 1.

    With A_g and L_g the main effects of knob g on accuracy and latency:

    - phase 1, *what matters*: sqrt(A_g). No knob is left out: on the demo's predictors, leaving out minor ones (as the
      authors' own first weights do) ended 0.7 points below the optimum with every seed, because the trade of one
      minor knob for another was never tried.
    - phase 2, *what is worth its time*: sqrt(A_g / (L_g + mean L)), accuracy bought per millisecond. The mean in the
      denominator keeps a knob that costs nothing, whose ratio is all noise, from taking every move; the root keeps
      weak knobs within reach, which is what the last tenths of a point are made of.
    """
    a, latency = effects.accuracy, effects.latency_ms
    uniform = np.full(len(a), 1 / len(a))
    if not a.max() > 0:
        return uniform, uniform
    matters = np.sqrt(a)
    worth = np.sqrt(a / (latency + latency.mean()) if latency.max() > 0 else a)
    return matters / matters.sum(), worth / worth.sum()


def value_weights(problem: SearchProblem, temperature: float) -> list[FloatArray]:
    """Return for each knob the probability of each of its values; each sums to 1.

    Parameters
    ----------
    problem
        Its objective and budget decide what a unit is worth.
    temperature
        kT, in the objective's unit.

    Notes
    -----
    A unit u at a place is worth w(u) = a(u) - c l(u): what it adds to the objective, less its milliseconds at the price
    c, the lowest at which the units that are worth most keep the budget together (the multiplier of the Lagrangian
    relaxation, by bisection). With probabilities of units proportional to exp(w(u) / kT), depths and image sizes
    alike, the weight of a knob's value is the share of units that have it. A share `UNGUIDED` is spread evenly, so
    that no value is out of reach: the relaxation knows neither what fits the budget to the last millisecond nor
    caps that the predictors do not see. Weights are even when the objective does not rise with accuracy and does
    not fall with latency.
    """
    landscape = problem.landscape
    worth = _worth(problem)
    has = _shares_of_values(landscape)
    allowed = landscape.allowed[:, landscape.class_of_ordering]
    # Each depth that a place has is as likely as the others: (unit, entry of `orderings`).
    of_depth = has["D"] * allowed[:, None]
    chance = (of_depth / np.maximum(of_depth.sum(axis=2, keepdims=True), 1)).sum(axis=1)
    of_units = worth.units[:, :, landscape.class_of_ordering]
    best = of_units.max(axis=2, keepdims=True)
    shares = chance * np.exp((of_units - best) / temperature)
    totals = shares.sum(axis=2)
    of_sizes = worth.sizes + (best[:, :, 0] + temperature * np.log(totals)).sum(axis=1)
    sizes = np.exp((of_sizes - of_sizes.max()) / temperature)
    sizes /= sizes.sum()
    good = np.einsum("s,suc->uc", sizes, shares / totals[..., None])
    weights = []
    for knob in knobs_of(landscape):
        if knob.kind == "size":
            found, values = sizes, np.ones(len(sizes), dtype=bool)
        else:
            found = has[knob.kind] @ good[knob.unit]
            values = possible_values(landscape.space, knob)
        found = found / found.sum()
        weights.append((1 - UNGUIDED) * found + UNGUIDED / values.sum() * values)
    return weights


@dataclass(frozen=True, eq=False)
class _Worth:
    """What image sizes and unit classes are worth: (sizes,) and (sizes, units, classes); -inf where not allowed."""

    sizes: FloatArray
    units: FloatArray


def _worth(problem: SearchProblem) -> _Worth:
    """Return the objective's gains at the price that meets the budget and the other caps on predictions."""
    landscape = problem.landscape
    per_point, per_ms = _slopes(problem)

    def at(price: float) -> tuple[_Worth, bool]:
        # Where accuracy is not wanted for itself, an accuracy floor may still have to be paid for.
        gain, cost = (per_point, price - per_ms) if per_point > 0 else (price, -per_ms)
        # Where the link bends, a point is worth what it is at the most accurate subnet, then at the best one.
        sums = landscape.highest_sums
        for _ in range(_TANGENTS if landscape.links.bent else 1):
            offset, slope = landscape.links.tangents(sums)
            of_units = gain * slope[:, None, None] * landscape.accuracy_tables - cost * landscape.latency_tables_ms
            worth = _Worth(
                gain * (offset + slope * landscape.accuracy_intercepts) - cost * landscape.latency_intercepts_ms,
                np.where(landscape.allowed, of_units, -np.inf),
            )
            sums = landscape.sums_of(worth.units.argmax(axis=2))
        size = int((worth.sizes + worth.units.max(axis=2).sum(axis=1)).argmax())
        best = landscape.batch_of([Point(size, tuple(worth.units[size].argmax(axis=1).tolist()))])
        caps = [cap for cap in problem.all_caps if cap.monotone]
        return worth, all(bool(cap.cost(best)[0] <= cap.limit) for cap in caps)

    low, high = 0.0, 1e-6
    found, kept = at(low)
    while not kept and high < 1e9:
        low, high = high, 8 * high
        found, kept = at(high)
    for _ in range(_BISECTIONS if high > 1e-6 else 0):
        middle = (low + high) / 2
        worth, kept = at(middle)
        low, high, found = (low, middle, worth) if kept else (middle, high, found)
    return found


def _slopes(problem: SearchProblem) -> tuple[float, float]:
    """Return how the objective changes with a point of accuracy and with a millisecond, near the extremes."""
    landscape = problem.landscape
    batch = landscape.batch_of([*landscape.fastest_by_size, *landscape.most_accurate_by_size])
    value, slopes = problem.objective.value, []
    for name, step in (("accuracy", 1e-3), ("latency_ms", 1e-3 * float(batch.latency_ms.mean()))):
        moved = dataclasses.replace(batch, **{name: getattr(batch, name) + step})
        slopes.append(float(np.mean((value(moved) - value(batch)) / step)))
    return (slopes[0], slopes[1]) if np.isfinite(slopes).all() else (0.0, 0.0)


def _shares_of_values(landscape: Landscape) -> dict[str, FloatArray]:
    """Return the share of its layers in which each unit of `orderings` has each value, by knob: (values, units)."""
    space, units = landscape.space, landscape.orderings
    depth = np.array([len(unit) for unit in units])
    layers = np.array([(*unit, *((0, 0),) * (space.depths[-1] - len(unit))) for unit in units])
    shares = {"D": np.array([depth == d for d in space.depths], dtype=float)}
    for axis, (letter, choices) in enumerate((("K", space.kernel_sizes), ("E", space.expansion_ratios))):
        has = np.array([layers[:, :, axis] == choice for choice in choices], dtype=float)
        shares[letter] = has.sum(axis=2) / depth
        shares[f"{letter}_first"] = has[:, :, 0]
        shares[f"{letter}_rest"] = has[:, :, 1:].sum(axis=2) / np.maximum(depth - 1, 1)
    return shares


def possible_values(space: SearchSpace, knob: Knob) -> NDArray[np.bool_]:
    """Return which of the space's values of a unit's knob its unit has."""
    values = values_of(space.every_choice, knob.kind)
    return np.isin(values, values_of(space.choices[knob.unit], knob.kind))


def _probabilities(landscape: Landscape, choices: UnitChoices) -> FloatArray:
    """Return the probability of each unit of `orderings` at a place with these choices, uniform over knobs."""
    layers, every = len(choices.layers()), choices == landscape.space.every_choice
    found = np.array(
        [
            _probability(unit, len(choices.depths), layers) if every or choices.hold(unit) else 0.0
            for unit in landscape.orderings
        ]
    )
    return found / found.sum()


def _probability(unit: UnitLayers, depths: int, choices: int) -> float:
    """Probability of a unit up to the order of its layers after the first, uniform over knobs."""
    rest = unit[1:]
    orders = factorial(len(rest)) // prod(factorial(rest.count(layer)) for layer in set(rest))
    return orders / float(choices) ** len(unit) / depths
