"""Fits with what earlier rounds measured: the link is decided anew, and said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.files.tables import read_json, read_table, write_table
from foxnas.predictor.model import Predictor
from foxnas.search.goal import NO_CAPS
from foxnas.space.space import SearchSpace
from tests.support.made_up import DEVICE
from tests.support.report_run import ReportRun
from tests.support.scripts import made_by, script


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [("auto", "apart"), ("identity", "apart"), ("log-complement", "apart"), ("auto", "together")],
)
def test_refitted_predictors_have_the_link_that_is_asked_for(
    made_up_run: ReportRun, tmp_path: Path, asked: str, sizes: str
) -> None:
    run = made_up_run.copy_to(tmp_path)
    folder, search = tmp_path / run.space, tmp_path / run.space / "search" / DEVICE / "p50"
    first, again = search / "round-1", search / "round-2"
    sampled = [folder / str(size) / "accuracy.csv" for size in run.sizes]
    # The candidates as accurate as the first round's predictors say less half a point: optimism that a refit takes up.
    candidates = read_table(first / "candidates.csv").drop_duplicates("id")
    columns = {"id": candidates["id"], "arch": candidates["arch"], "top1_percent": candidates["accuracy"] - 0.5}
    settings = read_json(folder / "16" / "predictors" / "accuracy.json")["made_by"]["settings"]
    write_table(first / "accuracy.csv", pd.DataFrame(columns), made_by("evaluate_subnets"))
    space = SearchSpace.from_record(settings["space"])
    paths = {
        kind: [again / str(size) / f"{kind}.json" for size in run.sizes] for kind in ("accuracy", f"latency-{DEVICE}")
    }
    script("refit_predictors")(
        space=space, target="top1", accuracy_form="paper", accuracy_link=asked, latency_form="layers", folds=10,
        seed=0, caps=NO_CAPS, settled_points=0.05, budget=search / "budget.json", accuracy=sampled,
        latency=[folder / str(size) / f"latency-{DEVICE}.csv" for size in run.sizes],
        before=first / "frontier.csv", candidates_accuracy=[first / "accuracy.csv"],
        candidates_latency=[first / "timed.json"], accuracy_predictors=paths["accuracy"],
        latency_predictors=paths[f"latency-{DEVICE}"], refit=again / "refit.json", accuracy_sizes=sizes,
    )  # fmt: skip
    for size, path in zip(run.sizes, paths["accuracy"], strict=True):
        refitted, choice = Predictor.load(path), read_json(path)["made_by"]["link"]
        assert choice["asked"] == asked
        assert refitted.link.name == choice["used"]
        assert set(choice["rmse_cv"]) == ({"identity", "log-complement"} if asked == "auto" else {asked})
        assert choice["used"] == min(choice["rmse_cv"], key=choice["rmse_cv"].__getitem__)
        assert refitted.quality
        added = sum(arch.startswith(f"r{size}_") and id_ not in _ids(folder, size)
                    for id_, arch in zip(candidates["id"], candidates["arch"], strict=True))  # fmt: skip
        assert refitted.quality.rows == 90 + added
        assert (refitted.pooling is not None) == (sizes == "together")
        assert Predictor.load(paths[f"latency-{DEVICE}"][0]).pooling is None
        assert "link" not in read_json(paths[f"latency-{DEVICE}"][0])["made_by"]
    moved = read_json(again / "refit.json")["moved_points"]
    assert np.isfinite(moved)
    assert moved > 0


def _ids(folder: Path, size: int) -> set[str]:
    return set(read_table(folder / str(size) / "accuracy.csv")["id"])
