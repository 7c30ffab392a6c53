"""Search for the best architectures under one latency budget."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.ethosu.memory import keeping, predicted_caps
from foxnas.files.progress import follow
from foxnas.files.tables import read_json, read_table, write_json, write_table
from foxnas.search.acquisition import with_latencies
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.certificate import certify, front_of
from foxnas.search.config import SearchConfig
from foxnas.search.goal import Caps
from foxnas.search.goals import goal_of
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of, unit_of
from foxnas.search.problem import Infeasible
from foxnas.search.selection import Selection
from foxnas.search.strategies import registry
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.space.pooling import accuracy_and_latency
from foxnas.space.space import SearchSpace
from foxnas.verdict.ranking import best_under, with_costs


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    search: SearchConfig,
    caps: Caps,
    target: str,
    budget: Path,
    accuracy: list[Path],
    latency: list[Path],
    earlier: list[Path],
    refit: list[Path],
    acquired: list[Path],
    measured_accuracy: list[Path],
    measured_latency: list[Path],
    objective_file: Path | None = None,
    memory: dict[str, int] | None = None,
    shared: bool = False,
    candidates: Path,
    trace: Path,
    frontier: Path,
    certificate: Path,
) -> None:
    """Search once per reserve, add the best measured subnets, and certify against the proven optimum.

    `caps` are those of the search and of the device together, `memory` those on what a compiled model uses. `shared`:
    accuracies and latencies may be of other subnets, and only those in both tables are measured subnets.
    What `earlier` rounds proposed is not proposed again, and nothing is when `refit` says that the frontier settled.
    Of the subnets that were `acquired` the best measured within the budget are candidates, too, by predicted latency.
    """
    budget_ms = read_json(budget)["budget_ms"]
    landscape = Landscape.load(space, accuracy, latency, search.alike_layers)
    allowed = caps
    goal = goal_of(search.objective, landscape, budget_ms, allowed, objective_file)
    further = predicted_caps(space, measured_latency, memory, search.alike_layers) if memory else ()
    front = front_of(landscape, allowed)
    settings = AnnealingSettings(**asdict(search.annealing))
    found, traces, certificates = [], [], []
    for reserve in follow(search.reserves_percent, len(search.reserves_percent), "reserves searched"):
        cap_ms = budget_ms * (1 - reserve / 100)
        problem = problem_of(landscape, cap_ms, goal.with_reserve(reserve), allowed, further)
        scaled = replace(settings, boltzmann=settings.boltzmann * unit_of(problem, np.random.default_rng(0)))
        generator = np.random.default_rng([search.seed, round(1000 * reserve)])
        selection = Selection(count=search.candidates)
        try:
            result = registry.run(search.strategy, problem, selection, generator, annealing=scaled)
        except Infeasible as error:
            if reserve == min(search.reserves_percent):
                raise
            logging.warning("reserve %g%% is left out: %s", reserve, error)
            continue
        found += [(f"{result.strategy}, reserve {reserve:g}%", c) for c in result.candidates]
        traces.append(pd.DataFrame(result.trace).assign(reserve_percent=reserve))
        certificates.append({"reserve_percent": reserve, **certify(problem, result)})
        gap = certificates[-1]["gap"]
        proven = "nothing is proven of this objective" if gap is None else f"{gap:.2g} below the proven optimum"
        logging.info(
            "reserve %g%%: %s, predicted %.2f%% in %.4g ms; %s",
            reserve, result.best.arch.text, result.best.accuracy, result.best.latency_ms, proven,
        )  # fmt: skip
    made_by |= {"budget_ms": budget_ms}
    measured = accuracy_and_latency(measured_accuracy, measured_latency, TARGETS[target], shared)
    if memory:
        measured = measured[measured["id"].isin(keeping(measured_latency, memory))]
    bought = [
        read_table(path, ["arch", TARGETS[target]]).assign(source=f"acquired, {path.parent.name}")
        for path in (acquired if memory is None else [])
    ]
    every = replace(landscape, alike=False)
    for table in (measured.assign(source="measured"), *with_latencies(landscape, bought)):
        best = best_under(
            with_costs(table, space) if goal.needs_costs or allowed.limits else table,
            TARGETS[target],
            budget_ms * (1 - min(search.reserves_percent) / 100),
            search.incumbents,
            goal,
            allowed,
        )
        incumbents = describe_as_they_are(every, [space.parse(str(text)) for text in best["arch"]])
        found += zip(best["source"], incumbents, strict=True)
    proposed = with_costs(candidate_rows(found), space)
    known = {name for path in earlier for name in read_table(path, ["id"])["id"]}
    settled = any(read_json(path)["settled"] for path in refit)
    new = proposed[~proposed["id"].isin(known) & (not settled)]
    logging.info("%d of %d candidates are new%s", len(new), len(proposed), ", and the frontier settled" * settled)
    write_table(candidates, new, made_by)
    write_table(trace, pd.concat(traces, ignore_index=True), made_by)
    write_table(frontier, candidate_rows([("frontier", c) for c in front.candidates]), made_by)
    write_json(certificate, {"made_by": made_by, "goal": goal.to_json(), "certificates": certificates})


if __name__ == "__main__":
    cli.run(main)
