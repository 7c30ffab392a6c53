"""Say whether a deployed model keeps its promises."""

import logging
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.accuracy.by_class import over_classes
from foxnas.app.classes import class_names
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_json, write_json
from foxnas.verdict.confirmation import handed_over, summarised
from foxnas.verdict.decision import Decision
from foxnas.verdict.paired import decide_drop, discordant, unpacked
from foxnas.verdict.verification import judge


def main(
    *,
    made_by: cli.MadeBy,
    max_drop_percent: float,
    dataset: str,
    classes: int,
    budget: Path,
    winner: Path,
    accuracy: Path,
    latency: Path,
    labels: Path,
    listing: Path | None = None,
    on_device: Path | None = None,
    compiled: Path | None = None,
    validation: Path,
) -> None:
    """Write promised and measured figures side by side, with the verdict.

    Where the device itself was asked (`on_device`), its accuracy is the one that is judged, and this host's stands
    beside it.
    """
    promised, chosen = read_json(budget), read_json(winner)
    scored = read_json(accuracy, ["float_correct", "int8_correct"])
    answers, more = scored["int8_correct"], dict[str, Any]()
    if on_device is not None:
        answered = read_json(on_device, ["correct"])
        more["host_int8_top1_percent"] = scored["int8_top1_percent"]
        scored["int8_top1_percent"], answers = answered["top1_percent"], answered["correct"]
    if compiled is not None:
        more["compiled"] = {name: value for name, value in read_json(compiled).items() if name != "made_by"}
    timings = read_json(latency, ["baseline_ms", "tried"])
    deployed = handed_over(timings["tried"])
    timed = deployed["latency"]
    more |= {name: timed[name] for name in ("latency_is",) if name in timed}
    lost, won = discordant(scored["float_correct"], answers, scored["images"])
    decisions = {
        "latency": Decision(**deployed["decision"]),
        "accuracy": decide_drop(lost, won, scored["images"], max_drop_percent),
    }
    verdict = judge(
        promised["budget_ms"],
        **decisions,
        **{name: scored[name] for name in ("float_top1_percent", "int8_top1_percent")},
    )
    for promise, decided in decisions.items():
        if decided.state != "kept":
            logging.warning(
                "the %s promise is %s: at most %.4g ms of %.4g ms, %.2f points below float%s",
                promise, decided.state, verdict["latency_upper_ms"], promised["budget_ms"], verdict["drop_percent"],
                f"; {decided.reason}" * bool(decided.reason),
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
            "session_medians_ms": timed["session_medians_ms"],
            "reference_medians_ms": timed["reference_medians_ms"],
            "reference_baseline_ms": timings["baseline_ms"],
            "sessions_redone": timed["sessions_redone"],
            "lost_images": lost,
            "won_images": won,
            **over_classes(
                unpacked(answers, scored["images"]), load_array(labels), class_names(dataset, classes, listing)
            ),
            **more,
            **verdict,
            "verified_candidates": timings["verified"],
            "tried": [summarised(trial) for trial in timings["tried"]],
        },
    )


if __name__ == "__main__":
    cli.run(main)
