"""Table of the measured subnets of all image sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_table


def pool(tables: Sequence[Path], columns: Sequence[str], rows: int | None = None) -> pd.DataFrame:
    """Join tables or shards, at most the first `rows` subnets of every image size, in order.

    The image size is read off the architectures and added as `image_size`.
    """
    joined = pd.concat([read_table(path, ["id", "arch", *columns]) for path in tables], ignore_index=True)
    joined["image_size"] = joined["arch"].str.extract(r"^r(\d+)_", expand=False).astype(int)
    if rows is not None:
        joined = joined.groupby("image_size", sort=False).head(rows)
    return joined[["id", "arch", "image_size", *columns]].reset_index(drop=True)


def accuracy_and_latency(accuracy: Sequence[Path], latency: Sequence[Path], target: str) -> pd.DataFrame:
    """Return the subnets with both measurements, usable latencies only.

    Raises FoxnasError when the two sets of tables do not hold the same subnets.
    """
    one = pool(accuracy, [target])
    other = pool(latency, ["latency_ms", "usable"])
    if missing := set(one["id"]) ^ set(other["id"]):
        raise FoxnasError(
            f"{accuracy[0]} and {latency[0]}: subnet {sorted(missing)[0]} is in one of the two measurements only; "
            "delete both folders' tables and run again"
        )
    both = one.merge(other[["id", "latency_ms", "usable"]], on="id")
    return both[both["usable"]].drop(columns="usable").reset_index(drop=True)
