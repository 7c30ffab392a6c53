"""Export an off-the-shelf network to int8."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.tables import replacing, write_json
from foxnas.int8.config import ExportConfig
from foxnas.int8.export import export_int8
from foxnas.int8.reading import with_metadata
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: AccuracyConfig,
    export: ExportConfig,
    network: Path,
    calibration: Path,
    images: Path,
    labels: Path,
    threads: int,
    result: Path,
    model: Path,
) -> None:
    """Write the largest subnet of `network` as a file, and what it costs and scores in float on the verify split.

    Its batch norms are calibrated on the same images as those of every subnet.
    """
    torch.set_num_threads(threads)
    arch, calibrating = space.largest(space.image_sizes[0]), ArraysBySize([calibration])
    preparation = Preparation(
        load_supernet(space, network), calibrating, accuracy.recalibration_images, accuracy.batch_size
    )
    subnet = preparation.subnet(arch)
    real = calibrating.at(arch.image_size)[: export.calibration_images]
    content = with_metadata(
        export_int8(subnet, real, exporter=export.with_, corrected=export.corrected),
        {**made_by, "arch": arch.text, "id": arch.id},
    )
    with replacing(model) as temporary:
        temporary.write_bytes(content)
    seen = evaluate(subnet, ArraysBySize([images]).at(arch.image_size), load_array(labels), accuracy.batch_size)
    costs = asdict(costs_of(space, arch))
    write_json(
        result,
        {
            "made_by": made_by,
            "image_size": arch.image_size,
            "arch": arch.text,
            "float_verify_top1_percent": seen.top1_percent,
            "parameters": costs["parameters"],
            "macs": costs["macs"],
            "model_bytes": len(content),
            "model_sha256": hashlib.sha256(content).hexdigest(),
            **seen.circumstances(),
        },
    )


if __name__ == "__main__":
    cli.run(main)
