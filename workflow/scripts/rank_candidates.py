"""Rank the measured candidates that keep the promise."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.files.identity import identities_of_tables, require_same
from foxnas.files.rerun import rerun
from foxnas.files.tables import read_json, read_tables, write_json, write_table
from foxnas.predictor.by_size import predicted_by_round
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import Caps
from foxnas.search.goals import goal_of
from foxnas.search.landscape import Landscape
from foxnas.space.costs import COSTS
from foxnas.space.space import SearchSpace
from foxnas.verdict.config import VerificationConfig
from foxnas.verdict.promises import ESTIMATE
from foxnas.verdict.verification import NoneKeeps, measured_costs, measurements, rank


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    objective: ObjectiveConfig,
    alike_layers: bool,
    verification: VerificationConfig,
    caps: Caps,
    device: str,
    budget: Path,
    candidates: list[Path],
    exported: list[Path],
    latencies: list[Path],
    sampled: list[Path],
    accuracy: list[Path],
    latency: list[Path],
    objective_file: Path | None = None,
    on_fit: list[Path] | None = None,
    by_round: list[Path] | None = None,
    table: Path,
    ranking: Path,
) -> None:
    """Write every candidate's predictions and measurements, and the verified ones from the best down.

    The order is by the search's own goal and caps; a knee is that of the predictors that the first round had. Where no
    candidate was verified, the ranking is empty and says why, and which is the closest. The other lists have one entry
    per batch of candidates: a round of search, or the twists of its best. `on_fit`: what the candidates of the rounds
    score on the images that are predicted; `by_round`: the predictors of accuracy before acquisition and after each of
    its rounds.
    """
    before = identities_of_tables(sampled)
    for path in latencies:
        if identity := read_json(path).get("identity"):  # a batch without candidates was not timed
            way_out = f"Time these candidates again on that one: {rerun(path)}"
            require_same(device, before, identity, f"what measured {path}", way_out)
    budget_ms = read_json(budget)["budget_ms"]
    predicted = read_tables(candidates, ["id", "accuracy", "latency_ms", *COSTS])
    measured = measured_costs(measurements(exported, latencies), predicted)
    landscape, allowed = Landscape.load(space, accuracy, latency, alike_layers), caps
    goal = goal_of(objective, landscape, budget_ms, allowed, objective_file)
    decision = {"made_by": made_by, "budget_ms": budget_ms, "goal": goal.to_json(), "chosen_by": verification.chosen_by}
    try:
        keeping = rank(measured, budget_ms, verification.margin_percent, goal, allowed, verification.chosen_by)
        ranked = keeping.to_dict("records")
        logging.info(
            "%d of %d candidates keep the promise; the best: %s", len(ranked), len(measured), ranked[0]["arch"]
        )
        decision |= {"ranked": ranked}
    except NoneKeeps as none:
        logging.warning("%s", none)
        decision |= {"ranked": [], "none": str(none), "closest": none.closest}
    shown = [row["id"] for row in decision["ranked"] or [decision["closest"]]]
    write_json(
        ranking,
        {
            **decision,
            "predicted": predicted[predicted["id"].isin(shown)]
            .drop(columns=["arch", "source"])
            .drop_duplicates("id")
            .set_index("id")
            .to_dict("index"),
            "candidates": measured.to_dict("records"),
        },
    )
    timed = [one for path in latencies for one in read_json(path)["models"].values()]
    how = "estimated" if any(one.get("latency_is") == ESTIMATE for one in timed) else "measured"
    measured_too = measured.drop(columns=["arch", "source", *COSTS]).rename(
        columns={name: f"{how}_{name}" for name in ("latency_ms", "latency_upper_ms")}
    )
    every = predicted.merge(measured_too, on="id")
    if on_fit:
        scored = read_tables(on_fit, ["id", "top1_percent"]).drop_duplicates("id").set_index("id")
        every["fit_top1_percent"] = every["id"].map(scored["top1_percent"])
    if by_round:
        archs = [space.parse(str(text)) for text in every["arch"]]
        every = every.assign(**predicted_by_round(archs, by_round, len(accuracy)))
    write_table(table, every, made_by)


if __name__ == "__main__":
    cli.run(main)
