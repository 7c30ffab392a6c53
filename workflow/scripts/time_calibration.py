"""Measure the latency of the first subnets of an image size, on a device that times blocks."""

from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.device.chosen import not_timed
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.subnets import measure_subnets
from foxnas.files.tables import read_json, read_table, write_json, write_table
from foxnas.predictor.mix import BY_BLOCKS
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
    calibration_subnets: int,
    subnets: Path,
    blocks: Path,
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, those after the first with the reason, and what is to be known of the sessions.

    `blocks` is what is to be known of the sessions that measured the blocks: on another device nothing is measured.
    """
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    rng = np.random.default_rng([sample.seed, *archs[0].id.encode()])
    timed, rest = archs[:calibration_subnets], archs[calibration_subnets:]
    sampled = [read_json(blocks, ("identity",))["identity"]]
    rows, info = measure_subnets(device, access, provisioning, space, timed, journal, rng, sampled)
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, pd.concat([rows, not_timed(rest, BY_BLOCKS)], ignore_index=True), made_by)


if __name__ == "__main__":
    cli.run(main)
