"""Measure the latency of those subnets of the first shard that tell most, on a device that is likened to others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.device.chosen import time_chosen
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.like import LikeConfig
from foxnas.device.subnets import measure_subnets
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
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    basis = Basis.of(dict(zip(like.devices, map(Predictor.load, regressions), strict=True)), archs)

    def measure(some: Sequence[Arch]) -> tuple[pd.DataFrame, dict[str, Any]]:
        rng = np.random.default_rng([sample.seed, *archs[0].id.encode()])
        return measure_subnets(device, access, provisioning, space, some, journal, rng)

    rows, info = time_chosen(basis, archs, like.until_percent, measure)
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
