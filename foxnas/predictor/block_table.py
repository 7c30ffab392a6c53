"""A table of timed blocks as a predictor: the time of a subnet is the sum of its layers'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table
from foxnas.predictor.forms import SUM_OF_LAYERS
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Layer
from foxnas.space.blocks import Blocks, Place
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, Formula, formula

#: What a table of blocks is called among the regressions that others start from.
BLOCKS = "blocks"

#: Percent within which 95% of subnets are to be predicted, held out; beyond, blocks do not add up on a device.
ACCEPTED_PERCENT = 10.0


def read_blocks(path: Path, space: SearchSpace, image_size: int) -> dict[tuple[Place, Layer], float]:
    """Return milliseconds of the usable blocks of an image size, out of the table of all sizes.

    Raises FoxnasError naming the file when it lacks a column or a block, or a usable block has no time above 0.
    """
    rows = read_table(path, ["id", "copies", "block_ms", "usable", "reason"]).set_index("id")
    own = Blocks(space).at[image_size]
    if missing := [block.id for block in own.values() if block.id not in rows.index]:
        raise FoxnasError(f"{path}: has no block {missing[0]}; delete it and run again")
    usable = rows.loc[rows["usable"], "block_ms"].astype(float)
    if wrong := [name for name, ms in usable.items() if not 0 < ms < math.inf]:
        raise FoxnasError(f"{path}: block {wrong[0]} takes {usable[wrong[0]]} ms; delete the file and run again")
    return {key: float(usable[block.id]) for key, block in own.items() if block.id in usable.index}


def of_table(space: SearchSpace, image_size: int, block_ms: Mapping[tuple[Place, Layer], float]) -> Predictor:
    """Return the predictor of an image size that comes nearest to its blocks, by least squares place by place.

    It has no intervals, and its intercept is that of the units alone, without stem and head. `block_ms` may lack some
    blocks. Raises FoxnasError when those that it has do not determine a place.
    """
    terms = formula(SUM_OF_LAYERS, space)
    arranged, intercept = np.zeros(terms.exist.shape), 0.0
    for unit, choices in enumerate(space.choices):
        constant, arranged[:, unit] = _of_place(terms, space, Place(unit, False), block_ms, image_size)
        intercept += constant
        if choices.later_depths:
            constant, later = _of_place(terms, space, Place(unit, True), block_ms, image_size)
            if "D" in terms.kinds and terms.exist[terms.kinds.index("D"), unit]:
                later[terms.kinds.index("D")] = constant
                intercept -= constant  # D counts the first layer, too
            else:
                intercept += constant * (choices.depths[0] - 1)
            arranged[:, unit] += later
    return Predictor.published("latency", "ms", image_size, terms, intercept, arranged[terms.exist].tolist())


def _of_place(
    terms: Formula, space: SearchSpace, place: Place, block_ms: Mapping[tuple[Place, Layer], float], image_size: int
) -> tuple[float, FloatArray]:
    """Return what every layer of a place takes, and the coefficients of the terms by which they differ: (kinds,)."""
    layers = [layer for layer in space.choices[place.unit].layers() if (place, layer) in block_ms]
    own = terms.exist[:, place.unit] & [kind.endswith("_sum" if place.later else "_first") for kind in terms.kinds]
    # Of a layer after the first, two layers have the terms of one.
    shares = terms.unit_matrix([(layer, layer) if place.later else (layer,) for layer in layers])[:, own]
    design = np.column_stack([np.ones(len(layers)), shares])
    found, _, rank, _ = np.linalg.lstsq(design, [block_ms[place, layer] for layer in layers], rcond=None)
    if rank < design.shape[1]:
        raise FoxnasError(
            f"blocks at {image_size} px: {len(layers)} usable ones of unit {place.unit + 1} "
            f"({'after the first layer' if place.later else 'first layer'}) do not say what K and E add; measure again"
        )
    coefficients = np.zeros(len(terms.kinds))
    coefficients[own] = found[1:]
    return float(found[0]), coefficients
