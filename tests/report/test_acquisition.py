"""Rounds of acquisition, as the workflow's scripts run them one after the other, and what the page says of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foxnas.files.tables import read_json, read_table
from foxnas.predictor.calibration import Calibration
from foxnas.predictor.model import Predictor
from foxnas.report.data import read_run
from foxnas.report.holdings import acquired_rounds, allow_for_images
from foxnas.report.page import write_page
from foxnas.space.arch import Arch
from tests.support.made_up import DEVICE
from tests.support.outline import Outline
from tests.support.report_run import ReportRun, add_acquisition, config_of, search_after_acquisition
from tests.support.scripts import script


@pytest.fixture(scope="module")
def run(made_up_run: ReportRun, tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    return made_up_run.copy_to(tmp_path_factory.mktemp("acquired"))


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


def test_the_best_that_was_acquired_within_the_budget_is_a_candidate(
    run: ReportRun, told: dict[str, list[str]], tmp_path: Path
) -> None:
    found = read_table(search_after_acquisition(run, "p50", told["acquired"], tmp_path))
    limit = 0.97 * read_json(run.results / run.space / "search" / DEVICE / "p50" / "budget.json")["budget_ms"]
    rows = pd.concat([read_table(_folder(run, name) / "accuracy.csv").assign(name=name) for name in told["acquired"]])
    latency = {
        size: Predictor.load(run.results / run.space / str(size) / "predictors" / f"latency-{DEVICE}.json")
        for size in run.sizes
    }
    archs = [Arch.parse(text) for text in rows["arch"]]
    within = rows[[latency[arch.image_size].predict([arch]).mean[0] <= limit for arch in archs]]
    best = within.nlargest(2, "top1_percent").to_dict("records")
    sources = dict(zip(found["id"], found["source"], strict=True))
    assert best
    for row in best:
        assert sources[row["id"]] == f"acquired, {row['name']}" or sources[row["id"]].startswith("exact")
    assert {sources[row["id"]] for row in best} & {f"acquired, {name}" for name in told["acquired"]}
    front = read_table(tmp_path / "frontier.csv")
    last = read_json(_folder(run, told["acquired"][-1]) / "refit.json")["calibration"]
    assert last["rows"] > 0
    for row in front.to_dict("records")[::40]:
        arch = Arch.parse(row["arch"])
        path = _folder(run, told["acquired"][-1]) / "predictors" / str(arch.image_size) / "accuracy.json"
        said = Predictor.load(path).predict([arch])
        assert (row["accuracy_lower"], row["accuracy_upper"]) == pytest.approx((said.lower[0], said.upper[0]))


def test_candidates_are_told_what_each_round_predicted(
    run: ReportRun, told: dict[str, list[str]], tmp_path: Path
) -> None:
    config, folder = config_of(run), run.results / run.space
    search = folder / "search" / DEVICE / run.budgets[0]
    batches = [search / "round-1", search / "twist"]
    accuracy = [folder / str(size) / "predictors" / "accuracy.json" for size in run.sizes]
    rounds = [_folder(run, name) / "predictors" / str(size) / "accuracy.json"
              for name in told["acquired"] for size in run.sizes]  # fmt: skip
    script("rank_candidates")(
        space=config.space, objective=config.search.objective, alike_layers=False, verification=config.verification,
        caps=config.search.caps, device=DEVICE, budget=search / "budget.json", accuracy=accuracy,
        latency=[folder / str(size) / "predictors" / f"latency-{DEVICE}.json" for size in run.sizes],
        sampled=[folder / str(size) / f"latency-{DEVICE}.csv" for size in run.sizes],
        candidates=[batch / "candidates.csv" for batch in batches],
        exported=[batch / "exported.csv" for batch in batches], latencies=[batch / "timed.json" for batch in batches],
        by_round=[*accuracy, *rounds], table=tmp_path / "candidates.csv", ranking=tmp_path / "ranking.json",
    )  # fmt: skip
    table = read_table(tmp_path / "candidates.csv")
    assert [name for name in table if name.startswith("accuracy_round")] == [
        "accuracy_round_0", "accuracy_round_1", "accuracy_round_2",
    ]  # fmt: skip
    # That search had no rounds before it.
    np.testing.assert_allclose(table["accuracy_round_0"], table["accuracy"])
    for _, row in table.iterrows():
        arch = Arch.parse(row["arch"])
        last = next(one for one in map(Predictor.load, rounds[-len(run.sizes) :]) if one.image_size == arch.image_size)
        assert row["accuracy_round_2"] == pytest.approx(last.predict([arch]).mean[0])


def test_rounds_that_agree_measure_nothing_more(run: ReportRun, told: dict[str, list[str]], tmp_path: Path) -> None:
    other = run.copy_to(tmp_path)
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


def test_intervals_for_other_images_hold_for_subnets_that_are_predicted_without_error() -> None:
    """Fit and verify images drawn anew, 800 times: what the fit images said is the prediction."""
    rng, held = np.random.default_rng(12), []
    for _ in range(800):
        fitted, verified = (100 * rng.binomial(n, 0.8) / n for n in (500, 1000))
        _, lower, upper = allow_for_images(np.full((1, 3), fitted), 500, np.array([1000.0]))[0]
        held.append(lower <= verified <= upper)
    assert 0.93 < np.mean(held) < 0.97
    mean, lower, upper = allow_for_images(np.array([[80.0, 78.0, 81.0]]), 10**9, np.array([10.0**9]))[0]
    assert (mean, lower, upper) == pytest.approx((80, 78, 81), abs=0.01)
