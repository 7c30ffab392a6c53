"""Measure the latency of those subnets of the first shard that tell most, on a device that is likened to others."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.device.building import build_device
from foxnas.device.chosen import time_chosen
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.like import LikeConfig
from foxnas.device.probes import probe_writer
from foxnas.device.session import measure_probes
from foxnas.files.tables import read_table, write_json, write_table
from foxnas.predictor.mix import Basis
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch
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
    like: LikeConfig,
    form: str,
    donors: dict[str, Any],
    subnets: Path,
    regressions: list[Path],
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, those that were not needed with the reason, and what is to be known of the sessions.

    `regressions` are those of `like.devices`; `form` and `donors` say how they were made and measured, for the record.
    """
    write, written_by = probe_writer(device.kind, space)
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    basis = Basis.of(dict(zip(like.devices, map(Predictor.load, regressions), strict=True)), archs)
    target, protocol = build_device(device, access, provisioning)
    reference = write(space.largest(space.image_sizes[0]))

    def measure(some: Sequence[Arch]) -> tuple[pd.DataFrame, dict[str, Any]]:
        return measure_probes(
            target,
            protocol,
            [(arch.id, arch.text, partial(write, arch)) for arch in some],
            reference,
            journal,
            np.random.default_rng([sample.seed, *archs[0].id.encode()]),
            made_from=written_by,
        )

    rows, info = time_chosen(basis, archs, like.until_percent, measure)
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
