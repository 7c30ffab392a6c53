"""Caps on the memory that a compiled model uses: predicted in the search, exact of what was compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from foxnas.device.npu import CAPPED
from foxnas.errors import FoxnasError
from foxnas.predictor.fit import fit
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import PredictedCost
from foxnas.search.problem import Cap
from foxnas.space.pooling import pool
from foxnas.space.space import SearchSpace

Limits = Mapping[str, int]
"""Bytes by key of `CAPPED`; without those that are not capped."""


def keeping(tables: Sequence[Path], limits: Limits) -> set[str]:
    """Return the ids of the estimated subnets whose probes keep the caps."""
    rows = pool(tables, ["usable", *(CAPPED[key] for key in limits)])
    rows = rows[rows["usable"]]
    for key, limit in limits.items():
        rows = rows[rows[CAPPED[key]] <= limit]
    return set(rows["id"])


def predicted_caps(space: SearchSpace, tables: Sequence[Path], limits: Limits, alike: bool) -> tuple[Cap, ...]:
    """Return the caps of a search, on what regressions over the layers predict of the memory.

    Peak memory is no sum over units, so its regression errs by more than that of the latency; the compiled candidates
    are held to the caps exactly. A memory of which all subnets of a size use the same amount has no regression, and no
    cap. Raises FoxnasError when such a memory is above its cap in all of them.
    """
    rows = pool(tables, ["usable", *(CAPPED[key] for key in limits)])
    rows = rows[rows["usable"]]
    found = []
    for key, limit in limits.items():
        column = CAPPED[key]
        if (rows.groupby("image_size")[column].nunique() > 1).all():
            sizes = [(size, rows[rows["image_size"] == size]) for size in space.image_sizes]
            predictors = {size: _fitted(space, column, size, of_size) for size, of_size in sizes}
            landscape = Landscape(space, predictors, predictors, alike, merged=False)
            found.append(Cap(column, "bytes", float(limit), PredictedCost(landscape)))
        elif rows[column].min() > limit:
            raise FoxnasError(
                f"devices[].npu.{key} is {limit}, but the least that any of {len(rows)} compiled probes uses is "
                f"{int(rows[column].min())}; raise the cap to more than that"
            )
    return tuple(found)


def _fitted(space: SearchSpace, column: str, size: int, rows: pd.DataFrame) -> Predictor:
    archs = [space.parse(str(text)) for text in rows["arch"]]
    values = rows[column].to_numpy(float)
    return fit("layers", space, size, archs, values, target=column, unit="bytes", shrink=True)
