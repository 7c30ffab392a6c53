"""Measure the latency of one further shard of subnets on a device that is likened to others, if that is needed."""

from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.chosen import not_timed
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.subnets import measure_subnets
from foxnas.files.tables import read_json, read_table, write_json, write_table
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
    first: Path,
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, timed where the device is unlike the others, and what is to be known of the sessions.

    `first` is what is to be known of the first shard's.
    """
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    before = read_json(first, ("like", "identity", "protocol", "made_from"))
    if before["like"]["enough"]:
        rows = not_timed(archs)
        info = {**before, "baseline_ms": None, "flagged": 0, "sessions": []}
    else:
        rng = np.random.default_rng([sample.seed, *archs[0].id.encode()])
        rows, info = measure_subnets(device, access, provisioning, space, archs, journal, rng, [before["identity"]])
    made_by |= {"identity": info["identity"]}
    write_json(session, {**info, "made_by": made_by})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
