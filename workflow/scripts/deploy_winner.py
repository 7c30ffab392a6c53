"""Choose the best measured candidate that keeps the promise, and deploy its file."""

import logging
import shutil
from pathlib import Path

from foxnas import command
from foxnas.config.validation import VerificationConfig
from foxnas.tables import read_json, read_table, replacing, write_json
from foxnas.verification import choose


def main(
    *,
    verification: VerificationConfig,
    budget: Path,
    candidates: Path,
    exported: Path,
    latencies: Path,
    models: Path,
    winner: Path,
    model: Path,
) -> None:
    """Write the decision with every candidate's measurements, and copy the winner's file as it was measured."""
    budget_ms = read_json(budget)["budget_ms"]
    measured = read_table(exported, ["id", "arch", "int8_top1_percent"])
    timed = read_json(latencies)["models"]
    measured["latency_ms"] = [timed[name]["median_ms"] for name in measured["id"]]
    measured["latency_upper_ms"] = [timed[name]["upper_ms"] for name in measured["id"]]
    best = choose(measured, budget_ms, verification.margin_percent)
    predicted = read_table(candidates, ["id", "accuracy", "latency_ms"]).set_index("id")
    logging.info(
        "%s (%s): int8 top-1 %.2f%% on verify, %.4f ms (at most %.4f), budget %.4f ms",
        *(best[k] for k in ("arch", "source", "int8_top1_percent", "latency_ms", "latency_upper_ms")), budget_ms,
    )  # fmt: skip
    decision = {
        "made_by": command.made_by(__file__, {"verification": verification}),
        "budget_ms": budget_ms,
        "winner": best,
        "predicted": predicted.loc[best["id"]].drop(["arch", "source"]).to_dict(),
        "candidates": measured.to_dict("records"),
    }
    with replacing(model) as temporary:
        shutil.copyfile(models / f"{best['id']}.tflite", temporary)
    write_json(winner, decision)


if __name__ == "__main__":
    command.run(main)
