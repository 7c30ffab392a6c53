"""A whole run on tables that a user brings, of what the authors' published predictors say: no supernet, no device."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

from foxnas.files.tables import read_json
from foxnas.predictor.model import Predictor
from foxnas.predictor.population import uniform_predictions
from foxnas.search.landscape import Landscape
from foxnas.search.strategies import exact
from foxnas.verdict.proposals import BASIS
from tests.support.browser import opened, violations
from tests.support.examples import planned
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY
from tests.support.tables import counts_of, csv_of
from tests.support.tiny_run import snakemake

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SPACE = replace(CPU_SPACE, image_sizes=(160, 192))
#: By image size: the published predictors, and at the smaller size all faster and less accurate.
ACCURACY = {
    160: replace(PUBLISHED_ACCURACY, image_size=160, intercept=PUBLISHED_ACCURACY.intercept - 1.5),
    192: PUBLISHED_ACCURACY,
}
LATENCY = {
    160: replace(
        PUBLISHED_LATENCY,
        image_size=160,
        intercept=0.7 * PUBLISHED_LATENCY.intercept,
        coefficients=tuple(0.7 * number for number in PUBLISHED_LATENCY.coefficients),
    ),
    192: PUBLISHED_LATENCY,
}
BUDGETS, RESERVES = ("p25", "90ms"), (0.0, 5.0)
CONFIG = {
    "space": {"base": "cpu", "image_sizes": [160, 192]},
    "accuracy": {"source": "table", "table": {"file": "accuracies.csv", "column": "top1", "unit": "fraction"}},
    "devices": [
        {"name": "pi4", "kind": "table", "table": {"file": "took-{size}.csv", "column": "took_us", "unit": "us"}}
    ],
    "predictors": {"accuracy_form": "paper"},
    "budgets": ["p25", 90],
    "search": {"strategy": "exact", "reserves_percent": [5, 0], "candidates": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run: accuracies by our text, latencies of other architectures by counts of layers."""
    folder = tmp_path_factory.mktemp("tables")
    rows = ["arch,top1"]
    for size in SPACE.image_sizes:
        archs = list(islice(SPACE.sample(size, np.random.default_rng(size)), 220))
        top1, took_us = ACCURACY[size].predict(archs).mean / 100, 1000 * LATENCY[size].predict(archs).mean
        rows += [f"{arch.text},{float(value)!r}" for arch, value in zip(archs[:140], top1, strict=False)]
        counted = [
            counts_of(arch, SPACE) | {"took_us": repr(float(took))} for arch, took in zip(archs, took_us, strict=True)
        ]
        (folder / f"took-{size}.csv").write_text(csv_of(counted[80:]))
    (folder / "accuracies.csv").write_text("\n".join(rows) + "\n")
    (folder / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "terminal.txt").write_text(run(folder))
    return folder


def run(folder: Path, *words: str, check: bool = True) -> str:
    return snakemake(folder, *words, config=folder / "mine.yaml", check=check)


def test_the_fits_are_what_the_tables_were_made_of(finished: Path) -> None:
    for name, truth in (("accuracy", ACCURACY), ("latency-pi4", LATENCY)):
        for size in SPACE.image_sizes:
            found = Predictor.load(finished / f"results/cpu/{size}/predictors/{name}.json")
            np.testing.assert_allclose(found.coefficients, truth[size].coefficients, rtol=1e-6, atol=1e-9)
            assert found.intercept == pytest.approx(truth[size].intercept, rel=1e-6)


def test_what_is_proposed_is_the_optimum_of_the_published_predictors(finished: Path) -> None:
    front = exact.frontier(Landscape(SPACE, ACCURACY, LATENCY))
    uniform = uniform_predictions(SPACE, LATENCY.values(), 300, 0)
    limits = dict(zip(BUDGETS, (np.percentile(uniform, 25), 90), strict=True))
    found = read_json(finished / "results/cpu/search/pi4/proposals.json")
    assert (found["basis"], [one["budget"] for one in found["budgets"]]) == (BASIS, list(BUDGETS))
    for one in found["budgets"]:
        assert one["budget_ms"] == pytest.approx(limits[one["budget"]])
        for optimum, reserve in zip(one["optima"], RESERVES, strict=True):
            best = front.best_under(one["budget_ms"] * (1 - reserve / 100) * (1 + 1e-9))
            assert optimum["accuracy"] == pytest.approx(best.accuracy, abs=1e-6)
            arch = SPACE.parse(optimum["arch"])
            truth = tuple(by_size[arch.image_size].predict([arch]).mean[0] for by_size in (ACCURACY, LATENCY))
            assert truth == pytest.approx((optimum["accuracy"], optimum["latency_ms"]), abs=1e-6)
            assert optimum["gap"] == pytest.approx(0, abs=1e-9)


def test_page_and_terminal_say_that_nothing_was_measured(finished: Path) -> None:
    page = (finished / "results/report.html").read_text()
    seen = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    terminal = (finished / "terminal.txt").read_text().partition("foxnas: done")[2]
    for text in (seen, terminal):
        assert BASIS in text
        assert not re.search(r"(?i)\bkep(t|s)\b|promise|deployed/|\.tflite", text)
    assert "no model was exported, no candidate was measured on images or on a device" in seen
    for one in read_json(finished / "results/cpu/search/pi4/proposals.json")["budgets"]:
        assert one["proposed"]["arch"] in seen
        assert one["proposed"]["arch"] in terminal
    made = {path.name for path in finished.rglob("*") if path.is_file()}
    assert not {"supernet.safetensors", "exported.csv", "validation.json", "train-images.npy"} & made
    assert not (finished / "results" / "data").exists()


def test_the_page_answers_what_the_published_predictors_say(finished: Path, browser: Browser) -> None:
    with opened(browser, finished / "results/report.html") as page:
        assert violations(page) == []
        page.locator(".asking input[name=budget]").fill("75")
        shown = SPACE.parse(page.locator(".asking [data-part=text]").input_value())
        assert page.locator(".asking [data-part=command]").count() == 0, "there is nothing to measure it with"
    best = exact.frontier(Landscape(SPACE, ACCURACY, LATENCY)).best_under(75.0)
    assert ACCURACY[shown.image_size].predict([shown]).mean[0] == pytest.approx(best.accuracy, abs=1e-6)
    assert LATENCY[shown.image_size].predict([shown]).mean[0] <= 75.0


def test_a_table_that_changes_reruns_what_reads_it(finished: Path) -> None:
    assert "Nothing to be done" in run(finished, "--dry-run")
    common = {"search_architectures", "propose_architectures", "write_report", "all"}
    for name, rules in (
        ("accuracies.csv", {"take_accuracies", "fit_accuracy"}),
        ("took-192.csv", {"take_latencies", "fit_latency", "resolve_budget"}),
    ):
        before = (finished / name).read_text()
        last = before.rstrip().rpartition(",")[2]
        (finished / name).write_text(before.replace(last, f"{last[:-1]}{(int(last[-1]) + 1) % 10}"))
        os.utime(finished / name, (1_600_000_000, 1_600_000_000))  # as `mv` brings an older file
        assert planned(run(finished, "--dry-run")) == rules | common
        (finished / name).write_text(before)
    assert "Nothing to be done" in run(finished, "--dry-run")


def test_a_bad_row_ends_the_run_with_its_line(finished: Path) -> None:
    path = finished / "accuracies.csv"
    before = path.read_text()
    first = before.splitlines()[1]
    path.write_text(f"{before}{first}\n")
    said = run(finished, "results/cpu/192/accuracy.csv", check=False)
    assert f"error: accuracies.csv, line 282: {first.partition(',')[0]} is in line 2 already; remove one" in said
    path.write_text(before)
