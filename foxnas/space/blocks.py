"""The distinct blocks of a space: what its layers are as networks of their own, those that image sizes share once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from foxnas.space.arch import Arch, Layer
from foxnas.space.parts import Part, parts_of
from foxnas.space.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer of a subnet stands; a unit's layers after its first are alike.

    `unit` counts from 0, and `later` says whether the layer is one after the unit's first.
    """

    unit: int
    later: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A layer of the space by itself.

    `place` and `layer` (K, E) are those of the smallest image size that has it.
    """

    place: Place
    layer: Layer
    part: Part

    @property
    def id(self) -> str:
        """Name of the block, such as ``unit3-later-k5e4-4x4``: unit from 1, place, K and E, and what it reads."""
        _, height, width, _ = self.part.input_shape
        place = "later" if self.place.later else "first"
        return f"unit{self.place.unit + 1}-{place}-k{self.layer[0]}e{self.layer[1]}-{height}x{width}"

    @property
    def keeps_its_shape(self) -> bool:
        """Whether it writes what it reads in shape, so that copies can follow one another."""
        return self.part.steps[-1].shape == self.part.input_shape


@dataclass(frozen=True)
class Blocks:
    """Every block of a space."""

    space: SearchSpace

    @cached_property
    def at(self) -> dict[int, dict[tuple[Place, Layer], Block]]:
        """By image size, the block of every place and layer. Blocks of several sizes are one object."""
        found: dict[Part, Block] = {}
        sizes: dict[int, dict[tuple[Place, Layer], Block]] = {}
        for size in self.space.image_sizes:
            own = sizes.setdefault(size, {})
            for place, layer, part in _blocks_at(self.space, size):
                own[place, layer] = found.setdefault(part, Block(place, layer, part))
        return sizes

    @cached_property
    def distinct(self) -> tuple[Block, ...]:
        """Each block once, in the order of image sizes and places."""
        every = (block for own in self.at.values() for block in own.values())
        return tuple({block.id: block for block in every}.values())


def _blocks_at(space: SearchSpace, size: int) -> Iterator[tuple[Place, Layer, Part]]:
    """Yield the blocks of an image size, out of subnets whose units each have one layer over and over."""
    for layer in space.layers():
        # Where a unit has no such layer, it has another, which is met elsewhere.
        units = [(layer if layer in c.layers() else c.layers()[0],) * c.depths[-1] for c in space.choices]
        _, *parts, _ = parts_of(space, Arch(size, tuple(units)))
        rest = iter(parts)
        for unit, layers in enumerate(units):
            first, *later = (next(rest) for _ in layers)
            if layers[0] == layer:
                yield Place(unit, False), layer, first
                if later:
                    yield Place(unit, True), layer, later[0]
