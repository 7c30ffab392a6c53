"""Time one model, or every model of a folder, in separate sessions on a device."""

from functools import partial
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.baseline import baseline_ms
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.whole_models import measure_models
from foxnas.files.identity import identities
from foxnas.files.tables import write_json
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    space: SearchSpace,
    sessions: int,
    spread_s: float,
    models: Path,
    sampled: list[Path],
    references: Path | None = None,
    cache: Path | None = None,
    latencies: Path,
) -> None:
    """Write every model's session medians, their median, and its upper 95% bound."""
    files = sorted(models.glob("*.tflite")) if models.is_dir() else [models]
    if not files:  # a round of search, or a twist, had nothing new to propose
        write_json(latencies, {"made_by": made_by, "models": {}})
        return
    kind = kind_of(device.kind)
    target, protocol = build_device(
        device, access, provisioning, identities(sampled), partial(kind.comparison_probes, space, references, cache)
    )
    reference, written_by = kind.reference(space, references, cache)
    measured, info = measure_models(
        target,
        protocol,
        {path.stem: kind.prepared(path) for path in files},
        reference,
        sessions,
        np.random.default_rng(protocol.seed),
        baseline_ms=baseline_ms(sampled, written_by, protocol),
        spread_s=spread_s,
    )
    described = {name: one.to_json() for name, one in measured.items()}
    write_json(latencies, {"made_by": made_by, "models": described, **info})


if __name__ == "__main__":
    cli.run(main)
