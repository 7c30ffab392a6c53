"""Search for the best architectures under one latency budget."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import command
from foxnas.accuracy_table import TARGETS
from foxnas.config.search import SearchConfig
from foxnas.config.space import SpaceConfig
from foxnas.measured import accuracy_and_latency, best_under
from foxnas.predictor.model import Predictor
from foxnas.search import annealing, exact
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem, Selection
from foxnas.tables import read_json, read_table, write_json, write_table


def main(
    *,
    space: SpaceConfig,
    search: SearchConfig,
    target: str,
    budget: Path,
    accuracy: list[Path],
    latency: list[Path],
    earlier: list[Path],
    refit: list[Path],
    measured_accuracy: list[Path],
    measured_latency: list[Path],
    candidates: Path,
    trace: Path,
    frontier: Path,
    certificate: Path,
) -> None:
    """Anneal once per reserve, add the best measured subnets, and certify against the exact frontier.

    What `earlier` rounds proposed is not proposed again, and nothing is when `refit` says that the frontier settled.
    """
    built = space.build()
    budget_ms = read_json(budget)["budget_ms"]
    landscape = Landscape(
        built,
        {p.image_size: p for p in map(Predictor.load, accuracy)},
        {p.image_size: p for p in map(Predictor.load, latency)},
    )
    front = exact.frontier(landscape)
    settings = search.annealing.model_dump(exclude={"seed"})
    found, traces, certificates = [], [], []
    for reserve in search.reserves_percent:
        cap_ms = budget_ms * (1 - reserve / 100)
        generator = np.random.default_rng([search.annealing.seed, round(1000 * reserve)])
        result = annealing.search(
            SearchProblem(landscape, cap_ms),
            annealing.AnnealingSettings(**settings, selection=Selection(count=search.candidates)),
            generator,
        )
        found += [(f"annealing, reserve {reserve:g}%", c) for c in result.candidates]
        traces.append(pd.DataFrame(result.trace).assign(reserve_percent=reserve))
        proof = exact.certify(front, cap_ms, result.best)
        certificates.append(
            {
                "reserve_percent": reserve,
                "cap_ms": cap_ms,
                "calls": result.calls,
                "found": result.best.arch.text,
                "found_accuracy": result.best.accuracy,
                "optimum": proof.optimum.arch.text,
                "optimum_accuracy": proof.optimum.accuracy,
                "gap": proof.gap,
            }
        )
        logging.info(
            "reserve %g%%: predicted %.3f, %.4f below the proven optimum, after %d calls",
            reserve, result.best.accuracy, proof.gap, result.calls,
        )  # fmt: skip
    made_by = command.made_by(__file__, {"space": space, "search": search, "target": target}, budget_ms=budget_ms)
    best = best_under(
        accuracy_and_latency(measured_accuracy, measured_latency, TARGETS[target]),
        TARGETS[target],
        budget_ms * (1 - min(search.reserves_percent) / 100),
        search.incumbents,
    )
    incumbents = [built.parse(str(text)) for text in best["arch"]]
    found += [("measured", candidate) for candidate in describe_as_they_are(landscape, incumbents)]
    proposed = candidate_rows(found)
    known = {name for path in earlier for name in read_table(path, ["id"])["id"]}
    settled = any(read_json(path)["settled"] for path in refit)
    new = proposed[~proposed["id"].isin(known) & (not settled)]
    logging.info("%d of %d candidates are new%s", len(new), len(proposed), ", and the frontier settled" * settled)
    write_table(candidates, new, made_by)
    write_table(trace, pd.concat(traces, ignore_index=True), made_by)
    write_table(frontier, candidate_rows([("frontier", c) for c in front.candidates]), made_by)
    write_json(certificate, {"made_by": made_by, "certificates": certificates})


if __name__ == "__main__":
    command.run(main)
