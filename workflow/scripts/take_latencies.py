"""Take the latencies of a user's table for those of probes that are timed on a device."""

from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.device.acceptance import COLUMNS
from foxnas.files.tables import write_table
from foxnas.space.space import SearchSpace
from foxnas.tables.config import LatencyTableConfig
from foxnas.tables.reading import read_measurements


def main(
    *, made_by: cli.MadeBy, space: SearchSpace, given: LatencyTableConfig, files: list[Path], tables: list[Path]
) -> None:
    """Write a table per image size, in their order, with the columns of timed probes: those not known are empty."""
    taken = read_measurements(files, given, space)
    for size, path in zip(space.image_sizes, tables, strict=True):
        own = [one for one in taken if one.arch.image_size == size]
        rows = [
            {"id": one.arch.id, "arch": one.arch.text, "latency_ms": one.value, "usable": True, "reason": ""}
            for one in own
        ]
        write_table(path, pd.DataFrame(rows, columns=list(COLUMNS)), made_by)


if __name__ == "__main__":
    cli.run(main)
