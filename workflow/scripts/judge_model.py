"""Say whether a deployed model keeps its promises."""

import logging
from pathlib import Path

from foxnas import command
from foxnas.tables import read_json, write_json
from foxnas.verification import judge


def main(
    *, max_drop_percent: float, budget: Path, winner: Path, accuracy: Path, latency: Path, validation: Path
) -> None:
    """Write promised and measured figures side by side, with the verdict."""
    promised, chosen, scored = read_json(budget), read_json(winner), read_json(accuracy)
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
            logging.warning("%s: the %s promise is not kept: %s", validation, promise, verdict)
    write_json(
        validation,
        {
            "made_by": command.made_by(__file__, {"max_drop_percent": max_drop_percent}),
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
            **verdict,
        },
    )


if __name__ == "__main__":
    command.run(main)
