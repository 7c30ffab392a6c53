"""List the single-knob moves away from the best measured candidate, and propose those worth measuring."""

import logging
import math
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.files.tables import read_json, read_tables, write_json, write_table
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import Caps, Linear
from foxnas.search.goals import goal_of
from foxnas.search.landscape import Landscape
from foxnas.search.twists import MORE_ACCURACY, single_moves, worth_trying
from foxnas.space.costs import COSTS
from foxnas.space.space import SearchSpace
from foxnas.verdict.config import VerificationConfig
from foxnas.verdict.ranking import with_costs
from foxnas.verdict.verification import NoneKeeps, choose, measured_costs, measurements


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    verification: VerificationConfig,
    objective: ObjectiveConfig,
    alike_layers: bool,
    caps: Caps,
    twists: int,
    budget: Path,
    exported: list[Path],
    latencies: list[Path],
    accuracy: list[Path],
    latency: list[Path],
    earlier: list[Path],
    first_accuracy: list[Path],
    first_latency: list[Path],
    objective_file: Path | None = None,
    candidates: Path,
    moves: Path,
) -> None:
    """Write every move with its contrasts, and as candidates the best ones that were not measured yet.

    A knee, as a goal, is that of the predictors that the first round had.
    """
    budget_ms = read_json(budget)["budget_ms"]
    landscape, allowed = Landscape.load(space, accuracy, latency), caps
    first = Landscape.load(space, first_accuracy, first_latency, alike_layers)
    goal = goal_of(objective, first, budget_ms, allowed, objective_file)
    measured = measured_costs(measurements(exported, latencies), read_tables(earlier, ["id", *COSTS]))
    try:
        base = choose(measured, budget_ms, verification.margin_percent, goal, allowed, verification.chosen_by)
    except NoneKeeps as error:
        logging.warning("%s", error)
        base = error.closest
    slack_ms = budget_ms * (1 - verification.margin_percent / 100) - base["latency_upper_ms"]
    listed = single_moves(space, space.parse(base["arch"]), landscape.accuracy, landscape.latency)
    known = set(measured["id"])
    new = pd.DataFrame([(m.arch.text, m) for m in listed if m.arch.id not in known], columns=["arch", "move"])
    new = with_costs(new, space).assign(accuracy=math.inf)
    spare = math.inf if goal.accuracy_floor is None else base["int8_top1_percent"] - goal.accuracy_floor
    score = goal.score if isinstance(goal.score, Linear) else MORE_ACCURACY
    tried = worth_trying(new.loc[goal.admits(new, allowed), "move"].tolist(), slack_ms, twists, score, spare)
    logging.info("%s leaves %.4f ms of its budget; %d moves, worth trying:", base["arch"], slack_ms, len(listed))
    for move in tried:
        logging.info("%s (%+.2f, %+.4f ms)", move.text, move.accuracy.value, move.latency.value)
    described = describe_as_they_are(landscape, [move.arch for move in tried])
    rows = candidate_rows([(f"twist: {m.text}", c) for m, c in zip(tried, described, strict=True)])
    write_table(candidates, with_costs(rows, space), made_by)
    write_json(
        moves,
        {
            "made_by": made_by,
            "base": base,
            "slack_ms": slack_ms,
            "tried": [move.arch.id for move in tried],
            "moves": [
                {
                    "id": move.arch.id, "arch": move.arch.text, "text": move.text,
                    "accuracy": asdict(move.accuracy), "accuracy_p_holm": move.accuracy_p_holm,
                    "latency": asdict(move.latency), "latency_p_holm": move.latency_p_holm,
                }
                for move in listed
            ],
        },
    )  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
