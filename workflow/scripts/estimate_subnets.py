"""Estimate the latency of one shard of subnets with Arm's compiler."""

from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.device.kinds import kind_of
from foxnas.device.npu import EstimatedConfig
from foxnas.ethosu.table import estimate_models
from foxnas.ethosu.vela import Vela
from foxnas.files.tables import read_table, write_json, write_table
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    device: EstimatedConfig,
    sample: SampleConfig,
    vela: str,
    subnets: Path,
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, and what is to be known of the estimates."""
    kind = kind_of(device.kind)
    write = kind.probe_writer(space)
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    models = [(arch.id, arch.text, partial(write, arch)) for arch in archs]
    rows, info = estimate_models(models, device, Vela(vela, device), journal, kind.probe_code())
    made_by |= {"identity": info["identity"]}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, rows, made_by)


if __name__ == "__main__":
    cli.run(main)
