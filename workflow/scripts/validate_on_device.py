"""Measure a deployed file's accuracy on the device, with the runtime that will serve it."""

from pathlib import Path

from foxnas import command
from foxnas.arch import Arch
from foxnas.arrays import ArraysBySize, load_array
from foxnas.config.devices import AccessConfig, MeasuredConfig
from foxnas.devices.evaluation import predict_images
from foxnas.devices.registry import build_device
from foxnas.tables import read_json, write_json
from foxnas.tflite.seal import read_model


def main(
    *,
    device: MeasuredConfig,
    access: AccessConfig,
    winner: Path,
    model: Path,
    images: list[Path],
    labels: Path,
    journal: Path,
    result: Path,
) -> None:
    """Write top-1 on the whole test split, as the device answers."""
    arch = Arch.parse(read_json(winner)["winner"]["arch"])
    truth = load_array(labels)
    content = model.read_bytes() if device.kind == "edgetpu" else read_model(model)
    target, protocol = build_device(device, access)
    seen = predict_images(target, protocol, content, ArraysBySize(images).at(arch.image_size), journal)
    write_json(
        result,
        {
            "made_by": command.made_by(__file__, {"device": device}, identity=dict(seen.identity)),
            "arch": arch.text,
            "model": model.name,
            "images": len(truth),
            "top1_percent": seen.top1_percent(truth),
        },
    )


if __name__ == "__main__":
    command.run(main)
