"""What the page shows of a run on tables of the user's, read from its files: nothing of it was verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foxnas.files.tables import read_json, read_provenance, read_table
from foxnas.report.data import FittedSpace, SearchedDevice, SearchRun, fits_of, read_search, shards_of, space_of
from foxnas.report.files import PageFiles
from foxnas.space.arch import Arch
from foxnas.space.pooling import both_measured


@dataclass(frozen=True, eq=False)
class ProposedRun(SearchRun):
    """One search and what is proposed, where nothing was verified."""

    proposed: Mapping[str, Any]
    """The proposed architecture with its predictions, as `foxnas.verdict.proposals` writes it."""
    optima: Sequence[Mapping[str, Any]]
    """The same of every reserve."""

    @property
    def arch(self) -> Arch:
        """The proposed architecture."""
        return Arch.parse(self.proposed["arch"])


@dataclass(frozen=True, eq=False)
class TableDevice(SearchedDevice):
    """A device of which a table of the user's is all there is."""

    budgets: tuple[ProposedRun, ...]
    latencies_ms: Mapping[int, pd.Series]
    """Every latency of the table, by image size; `subnets` has those that have an accuracy, too."""


@dataclass(frozen=True, eq=False)
class TablesRun(FittedSpace):
    """A finished run on tables of the user's."""

    devices: tuple[TableDevice, ...]
    top1_percent: Mapping[int, pd.Series]
    """Every accuracy of the table, by image size."""


def read_tables_run(files: PageFiles) -> TablesRun:
    """Read a finished run on tables of the user's. Raises FoxnasError like `read_run`."""
    found = tuple(_table_device(files, device) for device in files.devices)
    first = files.searched(files.devices[0], files.budgets[0])[files.rounds[0]]
    return TablesRun(
        space=space_of(first["candidates"]),
        sizes=tuple(files.sizes),
        accuracy=fits_of(files, "accuracy"),
        devices=found,
        top1_percent={size: read_table(path)["top1_percent"] for size, path in files.accuracy().items()},
    )


def _table_device(files: PageFiles, device: str) -> TableDevice:
    tables, accuracies = files.latency(device), list(files.accuracy().values())
    proposals = {one["budget"]: one for one in read_json(files.proposals(device), ("budgets",))["budgets"]}
    budgets = []
    for name in files.budgets:
        (one,) = files.searched(device, name).values()
        run = read_search(files, device, name, one["candidates"])
        budgets.append(ProposedRun(**vars(run), **{key: proposals[run.name][key] for key in ("proposed", "optima")}))
    return TableDevice(
        name=device,
        subnets=both_measured(accuracies, list(tables.values()), ["top1_percent"], ["latency_ms", "usable", "reason"],
                              shared=True),
        latency=fits_of(files, f"latency-{device}"),
        further={name: fits_of(files, f"{name}-{device}") for name in files.further_targets},
        budgets=tuple(budgets),
        made_by={size: shards_of(read_provenance(table)) for size, table in tables.items()},
        latencies_ms={size: read_table(table)["latency_ms"] for size, table in tables.items()},
    )  # fmt: skip
