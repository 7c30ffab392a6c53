"""Time one model, or every model of a folder, in separate sessions on a device."""

from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.probes import exported_model
from foxnas.device.whole_models import measure_models
from foxnas.files.tables import write_json


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    sessions: int,
    models: Path,
    latencies: Path,
) -> None:
    """Write every model's session medians, their median, and its upper 95% bound."""
    files = sorted(models.glob("*.tflite")) if models.is_dir() else [models]
    if not files:  # a round of search, or a twist, had nothing new to propose
        write_json(latencies, {"made_by": made_by, "models": {}})
        return
    target, protocol = build_device(device, access, provisioning)
    contents = {path.stem: exported_model(device.kind, path) for path in files}
    measured, info = measure_models(target, protocol, contents, sessions, np.random.default_rng(protocol.seed))
    described = {name: one.to_json() for name, one in measured.items()}
    write_json(latencies, {"made_by": made_by, "models": described, **info})


if __name__ == "__main__":
    cli.run(main)
