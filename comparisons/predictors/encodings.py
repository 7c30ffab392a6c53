"""Subnets as vectors, in the ways that other predictors take them: position by position, not averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray


def one_hot(space: SearchSpace, archs: Sequence[Arch]) -> FloatArray:
    """Return Once-for-All's encoding: the image size, then K and then E of every place, one column a choice.

    A place is a unit and a position within it; the columns of an absent layer are 0. As `MobileNetArchEncoder` of
    PyPI's `ofa` has it, which puts all K before all E.
    """
    place = {
        (u, p): u * space.depths[-1] + p for u in range(len(space.units)) for p in range(space.depths[-1])
    }  # fmt: skip
    kernels, ratios, sizes = len(space.kernel_sizes), len(space.expansion_ratios), len(space.image_sizes)
    encoded = np.zeros((len(archs), sizes + len(place) * (kernels + ratios)))
    for row, arch in zip(encoded, archs, strict=True):
        row[space.image_sizes.index(arch.image_size)] = 1
        for u, unit in enumerate(arch.units):
            for p, (k, e) in enumerate(unit):
                row[sizes + place[u, p] * kernels + space.kernel_sizes.index(k)] = 1
                row[sizes + len(place) * kernels + place[u, p] * ratios + space.expansion_ratios.index(e)] = 1
    return encoded


def entries(space: SearchSpace, archs: Sequence[Arch]) -> FloatArray:
    """Return which entries of a table of layers a subnet has: one column per unit, position, K and E."""
    layers, deepest = space.layers(), space.depths[-1]
    encoded = np.zeros((len(archs), len(space.units) * deepest * len(layers)))
    for row, arch in zip(encoded, archs, strict=True):
        for u, unit in enumerate(arch.units):
            for p, layer in enumerate(unit):
                row[(u * deepest + p) * len(layers) + layers.index(layer)] = 1
    return encoded


def knob_values(space: SearchSpace, archs: Sequence[Arch]) -> FloatArray:
    """Return the knobs as numbers: D of every unit, then K and E of every place, 0 where there is no layer."""
    units, deepest = len(space.units), space.depths[-1]
    encoded = np.zeros((len(archs), units * (1 + 2 * deepest)))
    for row, arch in zip(encoded, archs, strict=True):
        row[:units] = arch.depths
        for u, unit in enumerate(arch.units):
            start = units + 2 * u * deepest
            row[start : start + 2 * len(unit)] = np.ravel(unit)
    return encoded
