"""Export every candidate to int8 and measure it on the verify split."""

import hashlib
from pathlib import Path

import pandas as pd
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import measure_subnets
from foxnas.accuracy.outcomes import CIRCUMSTANCES
from foxnas.accuracy.preparation import Preparation
from foxnas.app.classes import class_names
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.files.tables import read_table, replacing, write_table
from foxnas.int8.config import ExportConfig
from foxnas.int8.export import export_int8
from foxnas.int8.reading import with_metadata
from foxnas.int8.serving import score
from foxnas.int8.tasks import Classifier
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from foxnas.verdict.verification import EXPORTED_COLUMNS


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: AccuracyConfig,
    export: ExportConfig,
    xnnpack: bool,
    dataset: str,
    supernet: Path,
    candidates: Path,
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    listing: Path | None = None,
    models: Path,
    table: Path,
) -> None:
    """Write `models`/<id>.tflite, and a row per candidate: top-1 in float; top-1 and mean probability in int8.

    The seconds of a row are those of its float evaluation, from extraction on.
    """
    torch.set_num_threads(threads)
    chosen = read_table(candidates, ["id", "arch", "source"])
    calibrating, verifying = ArraysBySize(calibration), ArraysBySize(images)
    preparation = Preparation(
        load_supernet(space, supernet), calibrating, accuracy.recalibration_images, accuracy.batch_size
    )
    truth, names = load_array(labels), class_names(dataset, space.classes, listing)
    models.mkdir(parents=True, exist_ok=True)
    # Those that begin alike are made ready and evaluated as neighbours, which share what they begin with.
    archs = sorted(map(space.parse, chosen["arch"]), key=lambda arch: (arch.image_size, arch.units))
    measured = measure_subnets(preparation, archs, verifying, truth, accuracy.batch_size)
    found = {}
    for subnet, seen in follow(measured, len(archs), "candidates"):
        arch = subnet.arch
        real = calibrating.at(arch.image_size)[: export.calibration_images]
        model = export_int8(subnet, real, exporter=export.with_, corrected=export.corrected)
        described = Classifier(space.name, arch.image_size, space.image_channels, names)
        content = with_metadata(model, {**made_by, "arch": arch.text, "id": arch.id}, described)
        with replacing(models / f"{arch.id}.tflite") as temporary:
            temporary.write_bytes(content)
        answered = score(content, verifying.at(arch.image_size), truth, threads, xnnpack)
        found[arch.id] = {
            "float_top1_percent": seen.top1_percent,
            **answered.percent,
            "model_bytes": len(content),
            "model_sha256": hashlib.sha256(content).hexdigest(),
            **seen.circumstances(),
        }
    rows = [{"id": r.id, "arch": r.arch, "source": r.source, **found[str(r.id)]} for r in chosen.itertuples()]
    write_table(table, pd.DataFrame(rows, columns=[*EXPORTED_COLUMNS, "model_sha256", *CIRCUMSTANCES]), made_by)


if __name__ == "__main__":
    cli.run(main)
