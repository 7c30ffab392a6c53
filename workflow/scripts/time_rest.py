"""Measure the latency of one further shard of subnets on a device that is likened to others, if that is needed."""

from functools import partial
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.building import build_device
from foxnas.device.chosen import not_timed
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.probes import probe_writer
from foxnas.device.session import measure_probes
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
        write, written_by = probe_writer(device.kind, space)
        target, protocol = build_device(device, access, provisioning, [before["identity"]])
        rows, info = measure_probes(
            target,
            protocol,
            [(arch.id, arch.text, partial(write, arch)) for arch in archs],
            write(space.largest(space.image_sizes[0])),
            journal,
            np.random.default_rng([sample.seed, *archs[0].id.encode()]),
            made_from=written_by,
        )
    made_by |= {"identity": info["identity"]}
    write_json(session, {**info, "made_by": made_by})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
