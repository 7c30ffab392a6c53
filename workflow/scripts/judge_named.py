"""Write what was predicted of a named architecture beside what was measured."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.accuracy.by_class import over_classes
from foxnas.app.classes import class_names
from foxnas.errors import FoxnasError
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.verdict.paired import decide_drop, discordant, unpacked
from foxnas.verdict.verification import EXPORTED_COLUMNS


def main(
    *,
    made_by: cli.MadeBy,
    max_drop_percent: float,
    dataset: str,
    classes: int,
    candidates: Path,
    exported: Path,
    latency: Path,
    accuracy: Path,
    labels: Path,
    listing: Path | None = None,
    validation: Path,
) -> None:
    """Write both, and whether int8 loses at most what is allowed. No latency was promised, so none is judged.

    Raises FoxnasError when the device's compiler refused the file, so that it has no latency.
    """
    (predicted,), (file,) = (
        read_table(path, columns).to_dict("records")
        for path, columns in ((candidates, ["id", "arch"]), (exported, EXPORTED_COLUMNS))
    )
    scored, models = read_json(accuracy, ["float_correct", "int8_correct"]), read_json(latency, ["models"])["models"]
    if predicted["id"] not in models:
        raise FoxnasError(f"{latency}: {predicted['arch']} has no latency: its device cannot run it; see its log")
    timed = models[predicted["id"]]
    lost, won = discordant(scored["float_correct"], scored["int8_correct"], scored["images"])
    drop = decide_drop(lost, won, scored["images"], max_drop_percent)
    said = {name: value for name, value in predicted.items() if name not in ("id", "arch", "source")}
    logging.info(
        "%s: %.4g ms predicted, %.4g ms measured; int8 top-1 %.2f%% on the test split",
        predicted["arch"], said["latency_ms"], timed["median_ms"], scored["int8_top1_percent"],
    )  # fmt: skip
    write_json(
        validation,
        {
            "made_by": made_by,
            **{name: predicted[name] for name in ("id", "arch")},
            "predicted": said,
            "model_bytes": file["model_bytes"],
            "verify_int8_top1_percent": file["int8_top1_percent"],
            "test_images": scored["images"],
            **{name: scored[name] for name in ("float_top1_percent", "int8_top1_percent")},
            **over_classes(
                unpacked(scored["int8_correct"], scored["images"]),
                load_array(labels),
                class_names(dataset, classes, listing),
            ),
            "drop_percent": scored["float_top1_percent"] - scored["int8_top1_percent"],
            "drop_lower_percent": drop.lower,
            "drop_upper_percent": drop.upper,
            "accuracy_verdict": drop.state,
            "latency_median_ms": timed["median_ms"],
            "latency_upper_ms": timed["upper_ms"],
            "session_medians_ms": timed["session_medians_ms"],
        },
    )


if __name__ == "__main__":
    cli.run(main)
