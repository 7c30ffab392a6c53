"""Measure the latency of one shard of compiled probes on an Edge TPU."""

from functools import partial
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.session import measure_probes
from foxnas.edgetpu import timing
from foxnas.edgetpu.cache import CompileCache
from foxnas.files.tables import read_provenance, read_table, write_json, write_table
from foxnas.space.sampling_config import SampleConfig


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    sample: SampleConfig,
    probes: Path,
    references: Path,
    cache: Path,
    journal: Path,
    table: Path,
    session: Path,
) -> None:
    """Write one row per subnet, those that were not compiled flagged, and what is to be known about the sessions."""
    models, extremes, kept = read_table(probes), read_table(references), CompileCache(cache)
    target, protocol = build_device(
        device, access, provisioning, probes=partial(timing.comparison_probes, extremes, kept)
    )
    rows, info = measure_probes(
        target,
        protocol,
        timing.compiled_probes(models, kept),
        timing.reference_model(extremes, kept),
        journal,
        np.random.default_rng([sample.seed, *str(models["id"].iloc[0]).encode()]),
    )
    made_by |= {"identity": info["identity"], "compiled": read_provenance(probes)}
    write_json(session, {"made_by": made_by, **info})
    write_table(table, timing.latency_rows(rows, models), made_by)


if __name__ == "__main__":
    cli.run(main)
