"""What every layer costs, as the page adds it up under caps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foxnas.space.costs import COSTS, CostTables, costs_of
from foxnas.space.space import SearchSpace

#: How the page calls each cost, and what stands behind its numbers.
LABELS = {
    "parameters": ("parameters", ""),
    "macs": ("multiply-accumulates", ""),
    "int8_bytes": ("size of the int8 file", " bytes"),
    "activation_bytes": ("activations alive at once", " bytes"),
}

#: The cost that is the largest over the layers; the others are sums.
LARGEST = "activation_bytes"


def cost_tables(space: SearchSpace, sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs of what belongs to no unit, of first layers and of later ones, in the order of `COSTS`.

    Layers are in the order of `SearchSpace.layers`; those that a place does not have mean nothing.
    """
    tables, layers = CostTables(space, tuple(sizes)), space.layers()
    first = tables.of_units([[layer] for layer in layers])
    pairs = tables.of_units([[one, other] for one in layers for other in layers])
    pairs = pairs.reshape(*first.shape[:3], len(layers), len(COSTS))
    # A later layer's own share: of a sum the rest, and of a maximum what stands out beside every first layer.
    later = np.where([name == LARGEST for name in COSTS], pairs.min(axis=2), pairs[:, :, 0] - first[:, :, :1])
    return {
        "names": COSTS,
        "labels": [LABELS[name][0] for name in COSTS],
        "units": [LABELS[name][1] for name in COSTS],
        "largest": LARGEST,
        "fixed": tables.fixed.tolist(),
        "first": first.tolist(),
        "later": later.tolist(),
    }


def cost_fields(space: SearchSpace, sizes: Sequence[int], caps: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """Return what the field of each cost's cap shows: label, unit, the least and the most that any architecture has.

    Parameters
    ----------
    caps
        The search's, by the key of the config: the page starts with them.
    """
    low, high = costs_of(space, space.smallest(min(sizes))), costs_of(space, space.largest(max(sizes)))
    return [
        {
            "label": label,
            "unit": unit,
            "low": getattr(low, name),
            "high": getattr(high, name),
            "cap": caps.get(f"max_{name}"),
        }
        for name, (label, unit) in LABELS.items()
    ]
