"""Rounds of acquisition, as the workflow's scripts run them one after the other, and what the page says of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from foxnas.files.tables import read_json, read_table
from foxnas.predictor.calibration import Calibration
from foxnas.predictor.model import Predictor
from foxnas.report.data import read_run
from foxnas.report.holdings import acquired_rounds
from foxnas.report.page import write_page
from foxnas.space.arch import Arch
from tests.support.made_up import DEVICE
from tests.support.outline import Outline
from tests.support.report_run import ReportRun, add_acquisition, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    return make_run(tmp_path_factory.mktemp("acquired"))


@pytest.fixture(scope="module")
def told(run: ReportRun) -> dict[str, list[str]]:
    return add_acquisition(run)


def _folder(run: ReportRun, name: str) -> Path:
    return run.results / run.space / "search" / DEVICE / "acquired" / name


def test_every_round_measures_what_no_round_has_and_fits_all_of_it(run: ReportRun, told: dict[str, list[str]]) -> None:
    sampled = {
        name for size in run.sizes for name in read_table(run.results / run.space / str(size) / "accuracy.csv")["id"]
    }
    for place, name in enumerate(told["acquired"], 1):
        chosen = read_table(_folder(run, name) / "subnets.csv")
        assert 0 < len(chosen) <= 12
        assert set(chosen["source"]) <= {"optimum", "expected improvement"}
        assert not sampled & set(chosen["id"])
        sampled |= set(chosen["id"])
        rows = 0
        for size in run.sizes:
            fitted = Predictor.load(_folder(run, name) / "predictors" / str(size) / "accuracy.json")
            assert fitted.quality
            assert fitted.pooling
            rows += fitted.quality.rows
        assert rows == len(sampled), f"round {place}"


def test_promises_of_a_round_are_as_wide_as_the_errors_of_the_one_before(
    run: ReportRun, told: dict[str, list[str]]
) -> None:
    """By hand: each error over the half-width of its own interval, whose factor is known."""
    factor, t_95 = 1.0, None
    for before, after in zip(told["acquired"], told["acquired"][1:], strict=False):
        said, found = (read_table(_folder(run, before) / name) for name in ("subnets.csv", "accuracy.csv"))
        errors = (found["top1_percent"] - said["accuracy"]) / said["expected_deviation"]
        calibration = read_json(_folder(run, before) / "refit.json")["calibration"]
        assert calibration == {"factor": pytest.approx(np.sqrt(np.mean(errors**2))), "rows": len(errors)}
        if t_95:  # near enough: the sums' intervals bend
            half = (said["accuracy_upper"] - said["accuracy_lower"]) / 2
            assert (half / said["expected_deviation"]).to_numpy() == pytest.approx(t_95 * factor, rel=0.1)
        factor, t_95 = calibration["factor"], stats.t.ppf(0.975, len(errors))
        promised = read_table(_folder(run, after) / "subnets.csv")
        for row in promised.to_dict("records"):
            arch = Arch.parse(row["arch"])
            predictor = Predictor.load(_folder(run, before) / "predictors" / str(arch.image_size) / "accuracy.json")
            assert row["accuracy"] == pytest.approx(predictor.predict([arch]).mean[0])


def test_rounds_that_agree_measure_nothing_more(run: ReportRun, told: dict[str, list[str]], tmp_path: Path) -> None:
    shutil.copytree(run.results / run.space, tmp_path / run.space)
    other = replace(run, results=tmp_path)
    add_acquisition(other, rounds=1, agreed_points=100.0)
    folder = _folder(other, "round-1")
    assert read_json(folder / "agreement.json")["agreed"]
    assert not len(read_table(folder / "subnets.csv"))
    assert read_json(folder / "refit.json")["calibration"] == Calibration().to_json()


def test_the_page_says_what_was_predicted_in_which_round(
    run: ReportRun, told: dict[str, list[str]], tmp_path: Path
) -> None:
    """By hand: from the tables of each round."""
    files = replace(run.files, **told)
    (device,) = read_run(files).devices
    lines = {line.name: line for line in acquired_rounds(device)}
    assert list(lines) == told["acquired"]
    write_page(files, tmp_path / "page.html")
    words = " ".join(Outline((tmp_path / "page.html").read_text()).words)
    assert "What was predicted in which round of acquisition?" in words
    for name, line in lines.items():
        both = read_table(_folder(run, name) / "subnets.csv").merge(
            read_table(_folder(run, name) / "accuracy.csv")[["id", "top1_percent"]], on="id"
        )
        inside = (both["accuracy_lower"] <= both["top1_percent"]) & (both["top1_percent"] <= both["accuracy_upper"])
        assert line.held
        assert (line.held.held, line.held.of, line.subnets) == (inside.sum(), len(both), len(both))
        assert line.held.mean_error == pytest.approx((both["accuracy"] - both["top1_percent"]).mean())
        gaps = [one["points"] for one in read_json(_folder(run, name) / "agreement.json")["gaps"]]
        assert abs(line.gap) == pytest.approx(np.abs(gaps).max())
        assert f"{inside.sum()} of {len(both)}" in words
