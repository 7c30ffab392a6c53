"""Choose the best measured candidate that keeps the promise, and deploy its file."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_tables, replacing, write_json, write_table
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import Caps
from foxnas.search.goals import goal_of
from foxnas.search.landscape import Landscape
from foxnas.space.costs import COSTS
from foxnas.space.space import SearchSpace
from foxnas.verdict.config import VerificationConfig
from foxnas.verdict.verification import choose, measured_costs, measurements


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    objective: ObjectiveConfig,
    alike_layers: bool,
    verification: VerificationConfig,
    caps: Caps,
    budget: Path,
    candidates: list[Path],
    exported: list[Path],
    latencies: list[Path],
    models: list[Path],
    accuracy: list[Path],
    latency: list[Path],
    objective_file: Path | None = None,
    table: Path,
    winner: Path,
    model: Path,
) -> None:
    """Write the decision, every candidate's predictions and measurements, and the winner's file as it was measured.

    The best is so by the search's own goal and caps; a knee is that of the predictors that the first round had. The
    other lists have one entry per batch of candidates: a round of search, or the twists of its best.
    """
    budget_ms = read_json(budget)["budget_ms"]
    predicted = read_tables(candidates, ["id", "accuracy", "latency_ms", *COSTS])
    measured = measured_costs(measurements(exported, latencies), predicted)
    landscape, allowed = Landscape.load(space, accuracy, latency, alike_layers), caps
    goal = goal_of(objective, landscape, budget_ms, allowed, objective_file)
    best = choose(measured, budget_ms, verification.margin_percent, goal, allowed)
    logging.info(
        "%s (%s): int8 top-1 %.2f%% on verify, %.4f ms (at most %.4f), budget %.4f ms",
        *(best[k] for k in ("arch", "source", "int8_top1_percent", "latency_ms", "latency_upper_ms")), budget_ms,
    )  # fmt: skip
    decision = {
        "made_by": made_by,
        "budget_ms": budget_ms,
        "goal": goal.to_json(),
        "winner": best,
        "predicted": predicted.set_index("id").loc[best["id"]].drop(["arch", "source"]).to_dict(),
        "candidates": measured.to_dict("records"),
    }
    folder = dict(zip((path.parent.name for path in exported), models, strict=True))[best["batch"]]
    with replacing(model) as temporary:
        temporary.write_bytes(read_model(folder / f"{best['id']}.tflite"))
    measured_too = measured.drop(columns=["arch", "source", *COSTS]).rename(
        columns={"latency_ms": "measured_latency_ms", "latency_upper_ms": "measured_latency_upper_ms"}
    )
    write_table(table, predicted.merge(measured_too, on="id"), made_by)
    write_json(winner, decision)


if __name__ == "__main__":
    cli.run(main)
