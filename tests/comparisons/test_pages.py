"""The pages of the comparisons: self-contained, complete, and every number is one of the tables'."""

from __future__ import annotations

import re

import pytest

from comparisons.report.contenders import compare
from comparisons.strategies.against_random import relative_improvement
from foxnas.files.tables import read_json, read_table
from foxnas.space.pooling import accuracy_and_latency
from tests.support.outline import Outline
from tests.support.report_run import DEVICE, ReportRun, compare_predictors, compare_strategies


@pytest.fixture(scope="module")
def run(made_up_run: ReportRun, tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    return made_up_run.copy_to(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def strategies(run: ReportRun) -> str:
    return compare_strategies(run).read_text()


@pytest.fixture(scope="module")
def predictors(run: ReportRun) -> str:
    return compare_predictors(run).read_text()


@pytest.mark.parametrize("name", ["strategies", "predictors"])
def test_a_page_is_one_file_whose_classes_all_have_a_style(name: str, request: pytest.FixtureRequest) -> None:
    html: str = request.getfixturevalue(name)
    outline = Outline(html)
    assert outline.opened == outline.loads == outline.links == []
    assert not re.search(r"https?://|@import|url\(|<script", html)
    style, body = html.split("</style>")
    used = {word for classes in re.findall(r'class="([^"]+)"', body) for word in classes.split()}
    # Words without a style of their own stand for what they are: a chart's layers, an axis' marks.
    assert used - set(re.findall(r"\.([a-z][\w-]*)", style)) <= {"multiple"}


def test_strategies_are_shown_as_they_were_found_and_measured(run: ReportRun, strategies: str) -> None:
    folder = run.results / run.space
    outline = Outline(strategies)
    assert outline.charts == [f"Strategies under budget {budget}" for budget in run.budgets]
    assert f"What every strategy found on device {DEVICE}" in strategies
    cells = re.findall(r"<td[^>]*>(?:<b>)?([^<]*)", strategies)
    tables = [[folder / str(size) / f"{name}.csv" for size in run.sizes] for name in ("accuracy", f"latency-{DEVICE}")]
    random = accuracy_and_latency(*tables, "top1_percent")
    for budget in run.budgets:
        search = folder / "search" / DEVICE / budget
        accuracy, latency = (read_table(search / "strategies" / f"{name}.csv") for name in ("accuracy", "latency"))
        measured = accuracy[["id", "top1_percent"]].merge(latency[["id", "latency_ms"]], on="id")
        found = read_table(search / "strategies" / "found.csv")
        assert (found["training_s"] > 0).tolist() == (found["strategy"] == "single-path").tolist()
        limit_ms = read_json(search / "budget.json")["budget_ms"]
        rows = relative_improvement(found, measured, random, "top1_percent", limit_ms)
        assert len(rows) == 9
        for row in rows.to_dict("records"):
            at = cells.index(row["strategy"], cells.index(budget))
            wanted = [
                str(row["seeds"]), str(row["architectures"]), f"{row['calls']:,.0f}", f"{row['training_s']:.0f}",
                f"{row['predicted']:.2f}", f"{row['gap']:.2f}", f"{row['measured']:.2f}",
            ]  # fmt: skip
            assert cells[at + 1 : at + 8] == wanted
            assert cells[at + 8] == f"{row['improvement_percent']:+.2f}%".replace("-", "\u2212")


def test_predictors_are_shown_with_their_scores(run: ReportRun, predictors: str) -> None:
    scores = read_table(run.results / run.space / "predictors" / "accuracy-scores.csv")
    last = scores[(scores["requested_subnets"] == 90) & (scores["predictor"] == "boosted trees")]
    assert set(last["training_subnets"]) == {81}
    assert f"<td>{last['tau'].mean():.3f}</td>" in predictors
    compared = compare(scores, "top-1", None, "points", "paper")
    assert [s.name for s in compared.standings if s.used] == ["paper"]
    assert sum(s.best for s in compared.standings) == 1
    assert compared.held_out == 2 * 9
    assert len(compared.errors) == len(compared.agreements) == 2
    assert re.findall(r"<h2>(.*)</h2>", predictors) == ["Top-1", f"Latency on {DEVICE}"]
    assert re.findall(r"</span>([\w-]+), used by the search", predictors) == ["paper", "layers"]
    assert len(Outline(predictors).charts) == 2 * 2 * len(run.sizes)
