"""Time off-the-shelf networks and the deployed models in the same sessions on a device."""

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
    exported: list[Path],
    winners: list[Path],
    rivals: list[Path],
    models: list[Path],
    sampled: list[Path],
    latencies: Path,
) -> None:
    """Write every file's session medians, their median, and its upper 95% bound.

    The files lie in <network>/<size>/ and <budget>/. `exported` and `winners` say what is in them; they are read
    elsewhere.
    """
    kind = kind_of(device.kind)
    target, protocol = build_device(
        device, access, provisioning, identities(sampled), partial(kind.comparison_probes, space, None, None)
    )
    reference, written_by = kind.reference(space, None, None)
    files = {f"rival {path.parent.parent.name} {path.parent.name}": path for path in rivals}
    files |= {f"budget {path.parent.name}": path for path in models}
    measured, info = measure_models(
        target,
        protocol,
        {name: kind.prepared(path) for name, path in files.items()},
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
