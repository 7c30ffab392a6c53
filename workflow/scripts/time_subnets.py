"""Measure the latency of one shard of subnets on a device."""

from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.subnets import measure_subnets
from foxnas.files.tables import read_table, write_json, write_table
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    sample: SampleConfig,
    subnets: Path,
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, and what is to be known about the sessions that measured them."""
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    rng = np.random.default_rng([sample.seed, *archs[0].id.encode()])
    rows, info = measure_subnets(device, access, provisioning, space, archs, journal, rng)
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
