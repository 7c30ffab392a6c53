"""Single-Path as a stage: what its script writes, and what an interrupted job does not train again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from foxnas.files.tables import read_json, read_table
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch
from tests.support.report_run import DEVICE, ReportRun, search_single_path


def test_what_is_found_is_predicted_and_within_the_reserve_and_trained_once(
    made_up_run: ReportRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = made_up_run.copy_to(tmp_path)
    caplog.set_level(logging.INFO)
    path = search_single_path(run, "p50")
    assert "images/s" in caplog.text
    found = read_table(path)
    assert found["seed"].tolist() == [0, 1]
    folder = run.results / run.space
    cap_ms = 0.97 * read_json(folder / "search" / DEVICE / "p50" / "budget.json")["budget_ms"]
    archs = [Arch.parse(text) for text in found["arch"]]
    (size,) = {arch.image_size for arch in archs}
    for target, column in (("accuracy", "accuracy"), (f"latency-{DEVICE}", "latency_ms")):
        predictor = Predictor.load(folder / str(size) / "predictors" / f"{target}.json")
        assert found[column].tolist() == pytest.approx(predictor.predict(archs).mean.tolist())
    assert (found["latency_ms"] <= cap_ms).all()
    assert (found["calls"] == 0).all()

    # As after an interruption between the trainings: what is in the journal stands.
    journal = folder / "search" / DEVICE / "p50" / "journals" / "single-path.jsonl"
    first, _ = journal.read_text().splitlines(keepends=True)
    journal.write_text(first)
    path.unlink()
    caplog.clear()
    again = read_table(search_single_path(run, "p50"))
    assert "seed 0 is in the journal" in caplog.text
    assert "seed 1 is in the journal" not in caplog.text
    assert again.drop(columns="training_s").equals(found.drop(columns="training_s"))
    assert again["training_s"][0] == found["training_s"][0]
