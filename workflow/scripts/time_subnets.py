"""Measure the latency of one shard of subnets on a device."""

from functools import partial
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.session import measure_probes
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
    kind = kind_of(device.kind)
    write = kind.probe_writer(space)
    reference, written_by = kind.reference(space, None, None)
    chosen = read_table(subnets, ["id", "arch"])
    archs = [space.parse(str(text)) for text in chosen["arch"]]
    target, protocol = build_device(
        device, access, provisioning, probes=partial(kind.comparison_probes, space, None, None)
    )
    rows, info = measure_probes(
        target,
        protocol,
        [(arch.id, arch.text, partial(write, arch)) for arch in archs],
        reference,
        journal,
        np.random.default_rng([sample.seed, *archs[0].id.encode()]),
        made_from=written_by,
    )
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
