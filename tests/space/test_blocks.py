"""The distinct blocks of a space."""

from __future__ import annotations

from itertools import islice

import numpy as np

from foxnas.space.blocks import Blocks, Place
from foxnas.space.config import read_space
from foxnas.space.parts import parts_of
from foxnas.space.space import SearchSpace


def test_every_subnet_is_made_of_its_sizes_blocks(mini: SearchSpace) -> None:
    blocks = Blocks(mini)
    for size in mini.image_sizes:
        for arch in islice(mini.sample(size, np.random.default_rng(size)), 5):
            own = [
                blocks.at[size][Place(unit, position > 0), layer].part
                for unit, layers in enumerate(arch.units)
                for position, layer in enumerate(layers)
            ]
            assert own == list(parts_of(mini, arch))[1:-1]


def test_sizes_share_the_blocks_that_read_the_same(mini: SearchSpace) -> None:
    """Strides halve, rounded up: what reads the same is by its side alone, counted here without any operator."""
    blocks = Blocks(mini)
    seen = set()
    for size in mini.image_sizes:
        side = -(-size // mini.stem_stride)
        for unit, spec in enumerate(mini.units):
            seen.add((unit, False, side))
            side = -(-side // spec.stride)
            seen.add((unit, True, side))
    assert len(blocks.distinct) == len(seen) * len(mini.layers())
    assert len(blocks.distinct) < sum(map(len, blocks.at.values()))
    assert len({block.id for block in blocks.distinct}) == len(blocks.distinct)


def test_units_have_the_blocks_of_their_own_choices() -> None:
    space = read_space("lite0")
    blocks = Blocks(space)
    for size, own in blocks.at.items():
        assert size in space.image_sizes
        expected = {
            (Place(unit, later), layer)
            for unit, choices in enumerate(space.choices)
            for later in (False, *([True] if choices.later_depths else []))
            for layer in choices.layers()
        }
        assert set(own) == expected
