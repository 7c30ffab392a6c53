"""Time one model, or every model of a folder, in separate sessions on a device."""

from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.device.baseline import baseline_ms
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.probes import exported_model, probe_writer
from foxnas.device.whole_models import ModelLatency, measure_models
from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.timing import reference_model
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.space.space import SearchSpace
from foxnas.verdict.decision import decide, is_look


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    space: SearchSpace,
    sessions: int,
    most_sessions: int | None = None,
    spread_s: float,
    models: Path,
    sampled: list[Path],
    references: Path | None = None,
    cache: Path | None = None,
    budget: Path | None = None,
    latencies: Path,
) -> None:
    """Write every model's session medians, their median, and its upper 95% bound.

    With a budget, sessions are added until it is decided whether a model keeps it, or there are `most_sessions`.
    """
    files = sorted(models.glob("*.tflite")) if models.is_dir() else [models]
    if not files:  # a round of search, or a twist, had nothing new to propose
        write_json(latencies, {"made_by": made_by, "models": {}})
        return
    target, protocol = build_device(device, access, provisioning)
    if references is not None and cache is not None:
        reference, written_by = reference_model(read_table(references), CompileCache(cache)), ""
    else:
        write, written_by = probe_writer(device.kind, space)
        reference = write(space.largest(space.image_sizes[0]))
    baseline = baseline_ms(sampled, written_by, protocol)
    limit_ms = read_json(budget)["budget_ms"] if budget else None

    def enough(found: ModelLatency) -> bool:
        medians = found.session_medians_ms
        if limit_ms is None:
            return True
        if not is_look(len(medians), sessions):
            return False
        return decide(medians, limit_ms, found.reference_medians_ms, baseline, sessions).state != "undecided"

    measured, info = measure_models(
        target,
        protocol,
        {path.stem: exported_model(device.kind, path) for path in files},
        reference,
        sessions,
        np.random.default_rng(protocol.seed),
        baseline_ms=baseline,
        most_sessions=most_sessions,
        spread_s=spread_s,
        enough=enough,
    )
    described = {name: one.to_json() for name, one in measured.items()}
    write_json(latencies, {"made_by": made_by, "models": described, **info})


if __name__ == "__main__":
    cli.run(main)
