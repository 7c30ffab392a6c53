"""A table of blocks as a predictor, against sums over the blocks themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.predictor.block_table import of_table, read_blocks
from foxnas.space.arch import Arch, Layer
from foxnas.space.blocks import Blocks, Place
from foxnas.space.space import SearchSpace

SIZE = 20


def made_up(space: SearchSpace, seed: int = 0) -> dict[tuple[Place, Layer], float]:
    """Blocks whose time goes with E, with E times K squared, and with the place."""
    rng = np.random.default_rng(seed)
    weights = {place: rng.uniform(0.5, 2.0, 3) for place in {place for place, _ in Blocks(space).at[SIZE]}}
    return {(place, (k, e)): float(weights[place] @ [1, e, e * k * k / 49]) for place, (k, e) in Blocks(space).at[SIZE]}


def summed(arch: Arch, block_ms: dict[tuple[Place, Layer], float]) -> float:
    return sum(
        block_ms[Place(unit, position > 0), layer]
        for unit, layers in enumerate(arch.units)
        for position, layer in enumerate(layers)
    )


@pytest.mark.parametrize("depths", [(2, 3, 4), (1, 3), (3,)], ids=str)
def test_a_prediction_is_the_sum_of_the_subnets_blocks(mini: SearchSpace, depths: tuple[int, ...]) -> None:
    space = replace(mini, depths=depths)
    block_ms = made_up(space)
    archs = list(islice(space.sample(SIZE, np.random.default_rng(1)), 30))
    predicted = of_table(space, SIZE, block_ms).predict(archs).mean
    np.testing.assert_allclose(predicted, [summed(arch, block_ms) for arch in archs])


def test_some_blocks_may_be_missing_and_not_too_many(mini: SearchSpace) -> None:
    block_ms = made_up(mini)
    archs = list(islice(mini.sample(SIZE, np.random.default_rng(1)), 30))
    # Seven numbers are to be told of twelve blocks.
    few = {
        key: ms for key, ms in block_ms.items() if key[0] != Place(2, True) or key[1] not in ((3, 3), (5, 4), (7, 2))
    }
    np.testing.assert_allclose(
        of_table(mini, SIZE, few).predict(archs).mean, [summed(arch, block_ms) for arch in archs]
    )
    none = {key: ms for key, ms in block_ms.items() if key[0] != Place(2, True) or key[1][0] != 5}
    with pytest.raises(FoxnasError, match=r"8 usable ones of unit 3 \(after the first layer\)"):
        of_table(mini, SIZE, none)


def test_a_table_is_read_by_the_blocks_of_a_size_and_checked(mini: SearchSpace, tmp_path: Path) -> None:
    blocks, path = Blocks(mini), tmp_path / "blocks.csv"
    rows = pd.DataFrame(
        {"id": block.id, "copies": 4, "block_ms": 0.5 + number, "usable": number != 3, "reason": ""}
        for number, block in enumerate(blocks.distinct)
    )
    write_table(path, rows, {})
    times = dict(zip(rows["id"], rows["block_ms"], strict=True))
    flagged = rows["id"][3]
    for size in (16, 40):
        read = read_blocks(path, mini, size)
        assert read == {key: times[block.id] for key, block in blocks.at[size].items() if block.id != flagged}
    write_table(path, rows.iloc[1:], {})
    with pytest.raises(FoxnasError, match=f"blocks.csv: has no block {rows['id'][0]}"):
        read_blocks(path, mini, 16)
    write_table(path, rows.assign(block_ms=rows["block_ms"].where(rows.index != 5, 0.0)), {})
    with pytest.raises(FoxnasError, match=f"block {rows['id'][5]} takes 0.0 ms"):
        read_blocks(path, mini, 16)
    write_table(path, rows.drop(columns="block_ms"), {})
    with pytest.raises(FoxnasError, match="block_ms"):
        read_blocks(path, mini, 16)
