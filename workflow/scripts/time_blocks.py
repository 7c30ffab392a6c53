"""Measure the latency of a space's blocks on a device."""

from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.blocks import measure_blocks
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.files.tables import write_json, write_table
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per distinct block, and what is to be known about the sessions that measured them."""
    rng = np.random.default_rng(device.protocol.seed)
    rows, info = measure_blocks(device, access, provisioning, space, journal, rng)
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
