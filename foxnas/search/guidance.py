"""Which knobs matter: the two sets of weights that guide annealing, derived from the predictors."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, prod
from typing import NamedTuple

import numpy as np

from foxnas.features import FloatArray
from foxnas.search.landscape import Landscape, UnitLayers


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
    space = landscape.space
    layer: dict[str, int] = {"K": len(space.kernel_sizes), "E": len(space.expansion_ratios)}
    if not landscape.alike:
        layer = {f"{kind}_{part}": n for part in ("first", "rest") for kind, n in layer.items()}
    choices: dict[str, int] = {"D": len(space.depths), **layer}
    of_units = [Knob(kind, u) for kind, n in choices.items() if n > 1 for u in range(len(space.units))]
    return (*([Knob("size")] if len(landscape.image_sizes) > 1 else []), *of_units)


def main_effects(landscape: Landscape) -> Effects:
    """Return every knob's main effect on predicted accuracy and latency, in closed form.

    Means are over the uniform distribution over knobs (`SearchSpace.draw`), exact, not sampled: each unit up to
    the order of its layers has a known probability. A knob of the layers after the first sets them all alike.
    """
    space, units = landscape.space, landscape.orderings
    probability = np.array([_probability(unit, len(space.depths), len(space.layers())) for unit in units])
    probability /= probability.sum()
    tables = [t[:, :, landscape.class_of_ordering] for t in (landscape.accuracy_tables, landscape.latency_tables_ms)]
    intercepts = (landscape.accuracy_intercepts, landscape.latency_intercepts_ms)
    matches: dict[str, list[list[bool]]] = {"D": [[len(unit) == depth for unit in units] for depth in space.depths]}
    for axis, (letter, choices) in enumerate((("K", space.kernel_sizes), ("E", space.expansion_ratios))):
        matches |= {
            letter: [[all(layer[axis] == c for layer in unit) for unit in units] for c in choices],
            f"{letter}_first": [[unit[0][axis] == c for unit in units] for c in choices],
            f"{letter}_rest": [[all(layer[axis] == c for layer in unit[1:]) for unit in units] for c in choices],
        }
    effects: list[list[float]] = []
    for knob in (knobs := knobs_of(landscape)):
        if knob.kind == "size":
            means = [c + (t @ probability).sum(axis=1) for c, t in zip(intercepts, tables, strict=True)]
            effects.append([float(np.ptp(mean)) for mean in means])
        else:
            given = np.array(matches[knob.kind]) * probability
            given /= given.sum(axis=1, keepdims=True)
            # (image size, choice): range over choices, mean over sizes.
            effects.append([float(np.ptp(t[:, knob.unit] @ given.T, axis=1).mean()) for t in tables])
    accuracy, latency_ms = np.array(effects).reshape(-1, 2).T
    return Effects(knobs, accuracy, latency_ms)


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


def _probability(unit: UnitLayers, depths: int, choices: int) -> float:
    """Probability of a unit up to the order of its layers after the first, uniform over knobs."""
    rest = unit[1:]
    orders = factorial(len(rest)) // prod(factorial(rest.count(layer)) for layer in set(rest))
    return orders / float(choices) ** len(unit) / depths
