"""Caps on memory: predicted for the search, and exact of compiled models and measured subnets."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.ethosu.memory import keeping, predicted_caps
from foxnas.ethosu.table import over
from foxnas.files.tables import write_table
from foxnas.predictor.fit import fit
from foxnas.search.capped import solver
from foxnas.search.goal import MOST_ACCURATE, NO_CAPS
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace


@pytest.fixture(scope="module")
def table(mini: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parameters in the place of the memory off the chip: a sum over layers, so that predictions are exact."""
    archs = list(islice(mini.sample(24, np.random.default_rng(0)), 120))
    parameters = [costs_of(mini, arch).parameters for arch in archs]
    rows = pd.DataFrame({
        "id": [a.id for a in archs], "arch": [a.text for a in archs], "usable": [i != 3 for i in range(len(archs))],
        "sram_bytes": 4096, "off_chip_bytes": parameters,
    })  # fmt: skip
    path = tmp_path_factory.mktemp("memory") / "latency.csv"
    write_table(path, rows, {})
    return path


def at(space: SearchSpace, size: int) -> SearchSpace:
    return replace(space, image_sizes=(size,))


def test_the_proven_optimum_under_a_predicted_cap_is_that_of_all_architectures(mini: SearchSpace, table: Path) -> None:
    space, rng = at(mini, 24), np.random.default_rng(1)
    archs = list(islice(space.sample(24, rng), 150))
    macs = np.array([costs_of(space, arch).macs for arch in archs], float)
    activations = np.array([costs_of(space, arch).parameters for arch in archs]) + 0.01 * macs
    accurate = {24: fit("layers", space, 24, archs, activations, target="top-1", unit="percent")}
    timed = {24: fit("layers", space, 24, archs, macs, target="latency", unit="ms")}
    landscape = Landscape(space, accurate, timed)
    cap = int(np.median([costs_of(space, arch).parameters for arch in archs]))
    caps = predicted_caps(space, [table], {"max_off_chip_bytes": cap}, alike=False)
    budget = float(np.median(macs))
    proof = solver.best(problem_of(landscape, budget, MOST_ACCURATE, NO_CAPS, caps))
    best = problem_of(landscape, budget, MOST_ACCURATE, NO_CAPS, caps).landscape.arch(proof.points[0])
    # Predictions of sums are exact up to the shrinkage of the fit.
    assert costs_of(space, best).parameters <= 1.01 * cap
    unlimited = solver.best(problem_of(landscape, budget, MOST_ACCURATE, NO_CAPS))
    assert unlimited.values[0] > proof.values[0]
    batch = landscape.batch_of([landscape.point_of(arch) for arch in archs])
    kept = (batch.latency_ms <= budget) & (np.array([costs_of(space, a).parameters for a in archs]) <= 0.99 * cap)
    assert proof.values[0] >= batch.accuracy[kept].max()


def test_a_memory_that_never_differs_is_no_cap_on_the_search_and_one_that_none_keeps_is_refused(
    mini: SearchSpace, table: Path
) -> None:
    space = at(mini, 24)
    assert predicted_caps(space, [table], {"max_sram_bytes": 4096}, alike=False) == ()
    message = r"max_sram_bytes is 4000, but the least that any of 119 compiled probes uses is 4096"
    with pytest.raises(FoxnasError, match=message):
        predicted_caps(space, [table], {"max_sram_bytes": 4000}, alike=False)


def test_measured_subnets_are_held_to_the_caps_and_flagged_ones_left_out(table: Path) -> None:
    rows = pd.read_csv(table, comment="#")
    cap = int(rows["off_chip_bytes"].median())
    kept = keeping([table], {"max_off_chip_bytes": cap, "max_sram_bytes": 4096})
    assert kept == set(rows["id"][(rows["off_chip_bytes"] <= cap) & rows["usable"]])
    assert keeping([table], {"max_sram_bytes": 1}) == set()


def test_a_compiled_model_over_a_cap_says_which() -> None:
    row = {"sram_bytes": 300, "off_chip_bytes": 1000}
    assert over(row, {"max_sram_bytes": 300, "max_off_chip_bytes": 1000}) == ""
    assert over(row, {}) == ""
    assert over(row, {"max_sram_bytes": 299, "max_off_chip_bytes": 1}) == (
        "sram_bytes is 300, above the cap of 299; off_chip_bytes is 1000, above the cap of 1"
    )
