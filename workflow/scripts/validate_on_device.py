"""Measure a deployed file's accuracy on the device, with the runtime that will serve it."""

from pathlib import Path

from foxnas import cli
from foxnas.device.answers import predict_images
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kind import EXPORTED
from foxnas.device.kinds import our_kinds
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.identity import identities
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, write_json
from foxnas.space.arch import Arch
from foxnas.verdict.paired import packed


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    sampled: list[Path],
    winner: Path,
    model: Path,
    images: list[Path],
    labels: Path,
    journal: Path,
    result: Path,
) -> None:
    """Write top-1 on the whole test split, as the device answers, and which images it got right."""
    arch = Arch.parse(read_json(winner)["winner"]["arch"])
    truth = load_array(labels)
    content = read_model(model) if model.name == EXPORTED else model.read_bytes()
    target, protocol = build_device(device, access, provisioning, identities(sampled))
    code = "" if device.kind in our_kinds() else device.code or ""
    seen = predict_images(target, protocol, content, ArraysBySize(images).at(arch.image_size), journal, code)
    write_json(
        result,
        {
            "made_by": made_by | {"identity": dict(seen.identity)},
            "arch": arch.text,
            "model": model.name,
            "images": len(truth),
            "top1_percent": seen.top1_percent(truth),
            "correct": packed(seen.classes == truth),
            **({"boards": list(seen.boards)} if seen.boards else {}),
        },
    )


if __name__ == "__main__":
    cli.run(main)
