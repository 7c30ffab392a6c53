"""The shards of a stage as one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_provenance, read_table


def join(shards: Sequence[Path], rows: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the first `rows` rows of the shards, in order, and what each shard says of its making.

    Raises FoxnasError when there are fewer, when a subnet occurs twice, or when timings are of two devices or runtimes,
    which are no sample of either: a board may have been swapped behind one name before the sample grew.
    """
    joined = pd.concat([read_table(shard, ["id", "arch"]) for shard in shards], ignore_index=True).head(rows)
    if len(joined) < rows:
        raise FoxnasError(f"{shards[0]}: it and the others hold {len(joined)} rows, {rows} are needed; delete them all")
    if (repeated := joined["id"].duplicated()).any():
        twice = joined["id"][repeated].iloc[0]
        raise FoxnasError(f"{shards[0]}: subnet {twice} is in it and the others twice; delete them all and run again")
    made_by = [read_provenance(shard) for shard in shards]
    first = made_by[0].get("identity") or {}
    for shard, record in zip(shards, made_by, strict=True):
        identity = record.get("identity") or {}
        if differing := [name for name in {**first, **identity} if first.get(name) != identity.get(name)]:
            said = ", ".join(f"{name} is {json.dumps(identity.get(name))}" for name in differing)
            raise FoxnasError(
                f"{shard}: was measured where {said}, which it is not for {shards[0]}; give the new device a name of "
                "its own, or delete the shards of the old one to measure them again"
            )
    return joined, made_by
