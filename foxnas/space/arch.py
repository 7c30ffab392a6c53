"""What a subnet is: its value, its text, its id.

Words follow the paper (arXiv 2108.08189, section 3 and figure 3): a *unit* is a run of layers with
one output width, a *layer* is one inverted bottleneck with a kernel size K and an expansion ratio E,
the *depth* D of a unit is its number of layers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.settings.encoding import quoted

Layer = tuple[int, int]
"""(kernel size K, expansion ratio E) of one layer."""


@dataclass(frozen=True)
class Arch:
    """One subnet: an image size and, unit by unit, the (K, E) of every layer that is present.

    Inactive layers never appear, so two equal networks are equal values with one `text` and one `id`.
    """

    image_size: int
    units: tuple[tuple[Layer, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """D of each unit; the first layer counts."""
        return tuple(len(unit) for unit in self.units)

    @cached_property
    def text(self) -> str:
        """Canonical form, such as ``r28_k7e6.k3e4_k5e3.k3e2``: units joined by ``_``, layers by ``.``."""
        units = (".".join(f"k{k}e{e}" for k, e in unit) for unit in self.units)
        return "_".join([f"r{self.image_size}", *units])

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that depend on `text` alone."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, text: str) -> Arch:
        """Inverse of `text`. Raises FoxnasError when the text has another form."""
        head, *units = text.strip().split("_")
        if not (size := re.fullmatch(r"r([1-9]\d*)", head)) or not units:
            raise FoxnasError(f"{quoted(text)} is not an architecture: expected r<size>_k<K>e<E>.k<K>e<E>_...")
        parsed = []
        for unit in units:
            layers = [re.fullmatch(r"k([1-9]\d*)e([1-9]\d*)", layer) for layer in unit.split(".")]
            if not all(layers):
                raise FoxnasError(
                    f"{quoted(text)} is not an architecture: unit {quoted(unit)} is not k<K>e<E>.k<K>e<E>..."
                )
            parsed.append(tuple((int(m[1]), int(m[2])) for m in layers if m))
        return cls(int(size[1]), tuple(parsed))

    def with_layer(self, unit: int, layer: int, value: Layer) -> Arch:
        """Return this subnet with one layer's (K, E) replaced."""
        layers = list(self.units[unit])
        layers[layer] = value
        return self.with_unit(unit, tuple(layers))

    def with_unit(self, unit: int, layers: tuple[Layer, ...]) -> Arch:
        """Return this subnet with one unit replaced."""
        return Arch(self.image_size, (*self.units[:unit], layers, *self.units[unit + 1 :]))


Knob = tuple[Sequence[int], Sequence[float] | None]
"""Choices and their probabilities; None: all equal."""


def draw_unit(depths: Knob, kernel_sizes: Knob, expansion_ratios: Knob, rng: np.random.Generator) -> tuple[Layer, ...]:
    """Draw a unit over knobs: its depth first, then K and E of each layer."""
    depth = int(rng.choice(depths[0], p=depths[1]))
    kernels = rng.choice(kernel_sizes[0], depth, p=kernel_sizes[1])
    ratios = rng.choice(expansion_ratios[0], depth, p=expansion_ratios[1])
    return tuple((int(k), int(e)) for k, e in zip(kernels, ratios, strict=True))
