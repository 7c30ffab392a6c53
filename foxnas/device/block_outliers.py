"""Which timed blocks stand out: a disturbance as long as a timing leaves no trace in it, but blocks have neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from foxnas.space.blocks import Block

#: A block this share above what its neighbours say is timed again: one of seven to one of four, of which most only
#: keep no such law (docs/evidence/blocks.md).
STANDS_OUT = 0.05

_SWEEPS = 20


def standing_out(blocks: Sequence[Block], milliseconds: Mapping[str, float]) -> list[Block]:
    """Return the blocks whose time, by their id, lies above what two tables of neighbours say; unknown ones do not.

    One table of each unit and place has a row for each K and E and a column for each size of what is read, the other,
    at one such size, a row for each K and a column for each E. Logarithms of times are near to the sum of a row's and
    a column's effect, which Tukey's median polish finds in spite of outliers. A table of less than three rows or
    columns says nothing: which of two is disturbed cannot be told.
    """
    by_size: dict[Hashable, list[Block]] = defaultdict(list)
    by_layer: dict[Hashable, list[Block]] = defaultdict(list)
    for block in blocks:
        if block.id in milliseconds:
            by_size[block.place].append(block)
            by_layer[block.place, block.part.input_shape].append(block)
    found: set[str] = set()
    for some in by_size.values():
        found |= _above(some, [(block.layer, block.part.input_shape) for block in some], milliseconds)
    for some in by_layer.values():
        found |= _above(some, [block.layer for block in some], milliseconds)
    return [block for block in blocks if block.id in found]


def _above(
    blocks: Sequence[Block], cells: Sequence[tuple[Hashable, Hashable]], milliseconds: Mapping[str, float]
) -> set[str]:
    rows, columns = (_numbered(side) for side in zip(*cells, strict=True))
    if min(rows.max(), columns.max()) < 2:
        return set()
    table = np.full((rows.max() + 1, columns.max() + 1), np.nan)
    table[rows, columns] = [np.log(milliseconds[block.id]) for block in blocks]
    for _ in range(_SWEEPS):
        table -= np.nanmedian(table, 1, keepdims=True)
        table -= np.nanmedian(table, 0, keepdims=True)
    return {block.id for block, above in zip(blocks, table[rows, columns], strict=True) if above > np.log1p(STANDS_OUT)}


def _numbered(keys: Iterable[Hashable]) -> np.ndarray:
    order: dict[Hashable, int] = {}
    return np.array([order.setdefault(key, len(order)) for key in keys])
