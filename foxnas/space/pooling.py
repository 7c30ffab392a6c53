"""Tables of subnets joined: the shards of a stage, the image sizes of a measurement, two measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.files.identity import changes
from foxnas.files.provenance import differing, leaf
from foxnas.files.tables import read_provenance, read_tables
from foxnas.settings.limits import LATER_NAMES


def gather(shards: Sequence[Path], rows: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the first `rows` rows of the shards, in order, and what each shard says of its making.

    Raises FoxnasError when there are fewer, when a subnet occurs twice, when they were made with two settings, or when
    timings are of two devices or runtimes, which are no sample of either: a board may have been swapped behind one name
    before the sample grew.
    """
    joined = read_tables(shards, ["id", "arch"]).head(rows)
    if len(joined) < rows:
        raise FoxnasError(f"{shards[0]}: it and the others hold {len(joined)} rows, {rows} are needed; delete them all")
    if (repeated := joined["id"].duplicated()).any():
        twice = joined["id"][repeated].iloc[0]
        raise FoxnasError(f"{shards[0]}: subnet {twice} is in it and the others twice; delete them all and run again")
    made_by = [read_provenance(shard) for shard in shards]
    _check_settings(shards, [record.get("settings") for record in made_by])
    first = made_by[0].get("identity") or {}
    for shard, record in zip(shards, made_by, strict=True):
        identity = record.get("identity") or {}
        if changed := changes(first, identity):
            raise FoxnasError(
                f"{shard}: was not measured on the device of {shards[0]}: {changed}; give the new device a name of its "
                "own, or delete the shards of the old one to measure them again"
            )
    return joined, made_by


def _check_settings(tables: Sequence[Path], settings: Sequence[Mapping[str, Any] | None], apart: str = "") -> None:
    """Raise FoxnasError that names the first table whose settings are not those of the first, but for a leaf."""
    said = [(table, one) for table, one in zip(tables, settings, strict=True) if one is not None]
    for table, one in said[1:]:
        if names := [name for name in differing(said[0][1], one, LATER_NAMES) if name != apart]:
            raise FoxnasError(
                f"{table}: was made with {names[0]} {leaf(one, names[0])}, {said[0][0]} with "
                f"{leaf(said[0][1], names[0])}; delete the one that was not made with today's configuration and run "
                "again to have it made anew"
            )


def pool(tables: Sequence[Path], columns: Sequence[str], rows: int | None = None) -> pd.DataFrame:
    """Join tables or shards of all image sizes, at most the first `rows` subnets of every size, in order.

    The image size is read off the architectures and added as `image_size`. Raises FoxnasError when two tables were made
    with different settings.
    """
    joined = read_tables(tables, ["id", "arch", *columns])
    # A table of several shards says of each what made it; within the table they are alike.
    records = [read_provenance(table) for table in tables]
    firsts = [(record.get("shards") or [record])[0].get("settings") for record in records]
    _check_settings(tables, firsts, apart="space.image_sizes")
    joined["image_size"] = joined["arch"].str.extract(r"^r(\d+)_", expand=False).astype(int)
    if rows is not None:
        joined = joined.groupby("image_size", sort=False).head(rows)
    return joined[["id", "arch", "image_size", *columns]].reset_index(drop=True)


def both_measured(
    accuracy: Sequence[Path],
    latency: Sequence[Path],
    targets: Sequence[str],
    timings: Sequence[str],
    shared: bool = False,
) -> pd.DataFrame:
    """Return the subnets with these columns of both measurements; `shared`: only those that are in both.

    Raises FoxnasError when the two sets of tables do not hold the same subnets, unless `shared`.
    """
    one, other = pool(accuracy, targets), pool(latency, timings)
    if not shared and (missing := set(one["id"]) ^ set(other["id"])):
        raise FoxnasError(
            f"{accuracy[0]} and {latency[0]}: subnet {sorted(missing)[0]} is in one of the two measurements only; "
            "delete both folders' tables and run again"
        )
    return one.merge(other[["id", *timings]], on="id")


def accuracy_and_latency(
    accuracy: Sequence[Path], latency: Sequence[Path], target: str, shared: bool = False
) -> pd.DataFrame:
    """Return the subnets of `both_measured` with a usable latency."""
    both = both_measured(accuracy, latency, [target], ["latency_ms", "usable"], shared)
    return both[both["usable"]].drop(columns="usable").reset_index(drop=True)
