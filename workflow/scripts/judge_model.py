"""Say whether a deployed model keeps its promises."""

import logging
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.files.tables import read_json, write_json
from foxnas.verdict.verification import judge


def main(
    *,
    made_by: cli.MadeBy,
    max_drop_percent: float,
    budget: Path,
    winner: Path,
    accuracy: Path,
    latency: Path,
    on_device: Path | None = None,
    compiled: Path | None = None,
    validation: Path,
) -> None:
    """Write promised and measured figures side by side, with the verdict.

    Where the device itself was asked (`on_device`), its accuracy is the one that is judged, and this host's stands
    beside it.
    """
    promised, chosen, scored = read_json(budget), read_json(winner), read_json(accuracy)
    more: dict[str, Any] = {}
    if on_device is not None:
        more["host_int8_top1_percent"] = scored["int8_top1_percent"]
        scored["int8_top1_percent"] = read_json(on_device)["top1_percent"]
    if compiled is not None:
        more["compiled"] = {name: value for name, value in read_json(compiled).items() if name != "made_by"}
    (timed,) = read_json(latency)["models"].values()
    verdict = judge(
        promised["budget_ms"],
        timed["upper_ms"],
        scored["float_top1_percent"],
        scored["int8_top1_percent"],
        max_drop_percent,
    )
    for promise, kept in (("latency", verdict["latency_kept"]), ("accuracy", verdict["accuracy_kept"])):
        if not kept:
            logging.warning(
                "the %s promise is not kept: at most %.4g ms of %.4g ms, %.2f points below float",
                promise, timed["upper_ms"], promised["budget_ms"], verdict["drop_percent"],
            )  # fmt: skip
    write_json(
        validation,
        {
            "made_by": made_by,
            "budget": promised["name"],
            "budget_ms": promised["budget_ms"],
            "arch": scored["arch"],
            "source": chosen["winner"]["source"],
            "predicted": chosen["predicted"],
            "verified": chosen["winner"],
            "test_images": scored["images"],
            "float_top1_percent": scored["float_top1_percent"],
            "int8_top1_percent": scored["int8_top1_percent"],
            "latency_median_ms": timed["median_ms"],
            "latency_upper_ms": timed["upper_ms"],
            "session_medians_ms": timed["session_medians_ms"],
            **more,
            **verdict,
        },
    )


if __name__ == "__main__":
    cli.run(main)
