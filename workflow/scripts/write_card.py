"""Put beside a deployed model what an app needs: labels, a program that classifies, and a card."""

from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.accuracy.by_class import of_recalls
from foxnas.app import classify
from foxnas.app.bundle import bundled
from foxnas.app.card import by_class, confusions, top1_interval, written
from foxnas.app.classes import class_names
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_json, read_table, replacing, write_json
from foxnas.space.arch import Arch
from foxnas.verdict.confirmation import handed_over
from foxnas.verdict.finishing import deployed_attempt


def main(
    *,
    made_by: cli.MadeBy,
    space: str,
    channels: int,
    classes: int,
    dataset: str,
    centre_share: float,
    threads: int,
    xnnpack: bool,
    licences: dict[str, Any],
    model: Path,
    winner: Path,
    validation: Path,
    latency: Path,
    answers: Path,
    labels: Path,
    certificates: list[Path],
    listing: Path | None = None,
    test_images: Path | None = None,
    sustained: Path | None = None,
    names: Path,
    program: Path,
    card: Path,
    text: Path,
) -> None:
    """Write `labels.txt`, `classify.py`, `card.json` and `card.md`."""
    verdict, decision, timings = read_json(validation), read_json(winner), read_json(latency)
    chosen = decision["winner"]
    said, truth = load_array(answers), load_array(labels)
    called = class_names(dataset, classes, listing)
    files = list(read_table(test_images, ["path"])["path"]) if test_images else []
    right = int((said == truth).sum())
    lower, upper = top1_interval(right, len(truth))
    of_classes = by_class(said, truth, called)
    gaps = [one["gap"] for path in certificates for one in read_json(path, ["certificates"])["certificates"]]
    timed = handed_over(timings["tried"])["latency"]
    # Of an estimate there is none.
    identity = timings.get("identity")
    described = {
        "made_by": made_by,
        "model": {
            "file": model.name,
            "sha256": chosen["model_sha256"],
            "bytes": chosen["model_bytes"],
            "arch": verdict["arch"],
            "space": space,
            "budget": verdict["budget"],
            **{name: chosen[name] for name in ("parameters", "macs")},
        },
        **({"weights": deployed_attempt(chosen, finishing)} if (finishing := decision.get("finishing")) else {}),
        "input": {"size": Arch.parse(verdict["arch"]).image_size, "channels": channels, "centre_share": centre_share},
        "serving": {
            "device": timings["device"],
            "identity": identity and ", ".join(filter(None, map(identity.get, ("board", "cpu", "architecture")))),
            "runtime": identity and f"{identity['runtime']} {identity['runtime_version']}",
            "threads": threads,
            "xnnpack": xnnpack,
        },
        "latency": {
            "budget_ms": verdict["budget_ms"],
            "median_ms": verdict["latency_median_ms"],
            "upper_ms": verdict["latency_upper_ms"],
            "sessions": len(verdict["session_medians_ms"]),
            "is": timed.get("latency_is", "measured"),
            "peak_memory_mb": timed.get("peak_memory_mb"),
            "verdict": verdict["latency_verdict"],
            **({"sustained": read_json(sustained, ["summary"])["summary"]} if sustained else {}),
        },
        "accuracy": {
            "test_images": len(truth),
            "int8_top1_percent": 100 * right / len(truth),
            "int8_top1_lower_percent": lower,
            "int8_top1_upper_percent": upper,
            "float_top1_percent": verdict["float_top1_percent"],
            "verdict": verdict["accuracy_verdict"],
            **of_recalls(of_classes),
            "by_class": of_classes,
            "confusions": confusions(said, truth, called, files),
        },
        "search": {"gap_points": None if None in gaps else max(gaps)},
        "data": {"dataset": dataset},
        "licences": licences,
    }
    for path, content in (
        (names, "".join(f"{name}\n" for name in called)),
        (program, bundled(Path(classify.__file__))),
        (text, written(described)),
    ):
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    write_json(card, described)


if __name__ == "__main__":
    cli.run(main)
