"""Choose which subnets to measure in a round, so that the frontier becomes known where a search will go."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.files.tables import read_json, write_json, write_table
from foxnas.predictor.calibration import Calibration
from foxnas.search.acquisition import acquire, optima_of
from foxnas.search.agreement import gaps
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.goal import Caps
from foxnas.search.landscape import Landscape
from foxnas.space.pooling import pool
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: str,
    count: int,
    agreed_points: float,
    reserves_percent: list[float],
    alike_layers: bool,
    caps: Caps,
    seed: int,
    budgets: list[Path],
    accuracy: list[Path],
    latency: list[Path],
    measured: list[Path],
    acquired: list[Path],
    refit: list[Path],
    subnets: Path,
    agreement: Path,
) -> None:
    """Write the subnets of a round with what is promised of them, none when optima and best measured agree.

    All budgets and reserves count alike. `refit` is what the last round's fit says; nothing in the first round.
    """
    column = TARGETS[target]
    landscape = Landscape.load(space, accuracy, latency, alike_layers)
    calibration = Calibration(**read_json(refit[-1])["calibration"]) if refit else Calibration()
    limits = [read_json(path)["budget_ms"] for path in budgets]
    caps_ms = sorted({limit * (1 - reserve / 100) for limit in limits for reserve in reserves_percent})
    tables = [pool(measured, [column]), *([pool(acquired, [column])] if acquired else [])]
    rows = pd.concat(tables, ignore_index=True).drop_duplicates("id")
    known = [space.parse(str(text)) for text in rows["arch"]]
    by_cap = optima_of(landscape, caps_ms, caps)
    apart = gaps(landscape, list(by_cap), list(by_cap.values()), known, rows[column].to_numpy(dtype=float))
    agreed = bool((np.abs(apart) <= agreed_points).all())
    logging.info("optima are up to %.2f points from the best measured%s", np.abs(apart).max(), ": agreed" * agreed)
    rng = np.random.default_rng([seed, len(acquired)])
    chosen = [] if agreed else acquire(landscape, list(by_cap), caps, known, count, rng)
    optimal = set(by_cap.values())
    described = describe_as_they_are(landscape, chosen) if chosen else []
    table = candidate_rows(("optimum" if one.arch in optimal else "expected improvement", one) for one in described)
    said = [landscape.accuracy[arch.image_size].predict([arch]) for arch in chosen]
    table["expected_deviation"] = [float(calibration.expected(one)[0]) for one in said]
    write_table(subnets, table, made_by)
    write_json(
        agreement,
        {
            "made_by": made_by,
            "agreed": agreed,
            "gaps": [
                {"cap_ms": cap_ms, "points": points} for cap_ms, points in zip(by_cap, apart.tolist(), strict=True)
            ],
        },
    )


if __name__ == "__main__":
    cli.run(main)
