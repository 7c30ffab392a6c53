"""List the single-knob moves away from the best measured candidate, and propose those worth measuring."""

import logging
from dataclasses import asdict
from pathlib import Path

from foxnas import command
from foxnas.config.space import SpaceConfig
from foxnas.config.validation import VerificationConfig
from foxnas.predictor.model import Predictor
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.landscape import Landscape
from foxnas.tables import read_json, write_json, write_table
from foxnas.twisting import single_moves, worth_trying
from foxnas.verification import NoneKeeps, choose, measurements


def main(
    *,
    space: SpaceConfig,
    verification: VerificationConfig,
    twists: int,
    budget: Path,
    exported: list[Path],
    latencies: list[Path],
    accuracy: list[Path],
    latency: list[Path],
    candidates: Path,
    moves: Path,
) -> None:
    """Write every move with its contrasts, and as candidates the best ones that were not measured yet."""
    built = space.build()
    budget_ms = read_json(budget)["budget_ms"]
    measured = measurements(exported, latencies)
    try:
        base = choose(measured, budget_ms, verification.margin_percent)
    except NoneKeeps as error:
        logging.warning("%s", error)
        base = error.closest
    predictors = [{p.image_size: p for p in map(Predictor.load, paths)} for paths in (accuracy, latency)]
    slack_ms = budget_ms * (1 - verification.margin_percent / 100) - base["latency_upper_ms"]
    listed = single_moves(built, built.parse(base["arch"]), *predictors)
    known = set(measured["id"])
    tried = worth_trying([move for move in listed if move.arch.id not in known], slack_ms, twists)
    logging.info("%s leaves %.4f ms of its budget; %d moves, worth trying:", base["arch"], slack_ms, len(listed))
    for move in tried:
        logging.info("%s (%+.2f, %+.4f ms)", move.text, move.accuracy.value, move.latency.value)
    made_by = command.made_by(__file__, {"space": space, "verification": verification, "twists": twists})
    described = describe_as_they_are(Landscape(built, *predictors), [move.arch for move in tried])
    rows = candidate_rows([(f"twist: {m.text}", c) for m, c in zip(tried, described, strict=True)])
    write_table(candidates, rows, made_by)
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
    command.run(main)
