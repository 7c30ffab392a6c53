"""Blocks that stand out of their neighbours: planted among times with a law and noise of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foxnas.device.block_outliers import standing_out
from foxnas.space.blocks import Block, Blocks
from foxnas.space.config import read_space

MINI = read_space("mini")


def takes_ms(block: Block, rng: np.random.Generator) -> float:
    """A law of K, E and the number of pixels, as a slow kernel has it, with a noise of 1%."""
    kernel, expansion = block.layer
    _, height, width, _ = block.part.input_shape
    return float((block.place.unit + 1) * (1 + kernel**2) * expansion**0.9 * height * width * rng.normal(1, 0.01))


@pytest.mark.parametrize("sizes", [MINI.image_sizes, MINI.image_sizes[:1]])
@pytest.mark.parametrize("factor", [1.2, 1.7])
def test_what_was_disturbed_is_found_and_little_else(sizes: tuple[int, ...], factor: float) -> None:
    blocks = Blocks(replace(MINI, image_sizes=sizes)).distinct
    rng = np.random.default_rng(0)
    times = {block.id: takes_ms(block, rng) for block in blocks}
    assert not standing_out(blocks, times)
    disturbed = rng.choice([block.id for block in blocks], len(blocks) // 50 + 1, replace=False)
    times |= {name: factor * times[name] for name in disturbed}
    assert [block.id for block in standing_out(blocks, times)] == sorted(disturbed, key=list(times).index)


def test_what_was_faster_than_its_neighbours_is_left() -> None:
    """A disturbance can only slow down."""
    blocks = Blocks(MINI).distinct
    times = {block.id: takes_ms(block, np.random.default_rng(1)) for block in blocks}
    times[blocks[100].id] *= 0.6
    assert not standing_out(blocks, times)


def test_a_block_without_a_time_is_no_neighbour() -> None:
    blocks = Blocks(MINI).distinct
    rng = np.random.default_rng(2)
    times = {block.id: takes_ms(block, rng) for block in blocks[1:]}
    times[blocks[1].id] *= 1.5
    assert standing_out(blocks, times) == [blocks[1]]
    assert not standing_out(blocks, {})
