"""The card: against scikit-learn, and against what folders may be called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from foxnas.app.card import _cell, _sustained, by_class, confusions, top1_interval
from foxnas.app.classes import class_names
from foxnas.files.tables import write_table

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 5, 400)
ANSWERS = np.where(RNG.random(400) < 0.6, TRUTH, RNG.integers(0, 4, 400))
LABELS = [f"class {n}" for n in range(6)]


def test_recall_and_precision_are_scikit_learns() -> None:
    rows = by_class(ANSWERS, TRUTH, LABELS)
    assert [row["images"] for row in rows] == np.bincount(TRUTH, minlength=6).tolist()
    recall = metrics.recall_score(TRUTH, ANSWERS, labels=range(6), average=None, zero_division=np.nan)
    precision = metrics.precision_score(TRUTH, ANSWERS, labels=range(6), average=None, zero_division=np.nan)
    for name, expected in (("recall_percent", recall), ("precision_percent", precision)):
        found = [np.nan if row[name] is None else row[name] / 100 for row in rows]
        np.testing.assert_allclose(found, expected)


def test_the_worst_pairs_come_first_with_their_files() -> None:
    files = [f"{true}/{i}.png" for i, true in enumerate(TRUTH)]
    found = confusions(ANSWERS, TRUTH, LABELS, files)
    counts = metrics.confusion_matrix(TRUTH, ANSWERS, labels=range(6))
    np.fill_diagonal(counts, 0)
    assert [pair["images"] for pair in found] == sorted(counts.ravel(), reverse=True)[:10]
    for pair in found:
        true, said = LABELS.index(pair["true"]), LABELS.index(pair["said"])
        assert pair["images"] == counts[true, said]
        rows = [files.index(name) for name in pair["examples"]]
        assert len(rows) == min(3, pair["images"])
        assert {(TRUTH[row], ANSWERS[row]) for row in rows} == {(true, said)}
    assert confusions(TRUTH, TRUTH, LABELS) == []


@pytest.mark.parametrize(("right", "images"), [(0, 10), (7, 10), (10, 10), (7806, 10000)])
def test_the_interval_is_statsmodels(right: int, images: int) -> None:
    expected = [100 * bound for bound in proportion_confint(right, images, method="wilson")]
    assert top1_interval(right, images) == pytest.approx(expected, abs=1e-9)


def test_a_name_stays_in_its_cell() -> None:
    assert _cell("a|b <i>\n`x`") == r"a\|b \<i\> \`x\`"


def test_single_inferences_and_heat_stand_on_the_card() -> None:
    run = {
        "loading_ms": 20.0, "first_ms": 5.125, "runs": 300_000, "p50_ms": 1.0, "p90_ms": 1.25, "p99_ms": 1.5,
        "slowest_ms": 9.0, "seconds": 300.2, "begin_ms": 1.0, "end_ms": 1.5, "slowdown_percent": 50.0,
        "begin_temperature_c": 48.6, "highest_temperature_c": 80.1, "lowest_clock_mhz": 1200.0, "throttled": "a|b",
    }  # fmt: skip
    single, long = _sustained(run)
    assert single == (
        "| one inference | the first 5.125 ms, after 20 ms of loading; of 300,000 more p50 1 ms, p90 1.25 ms, "
        "p99 1.5 ms, the slowest 9 ms |"
    )
    assert long == (
        "| 5 minutes without a pause | 1 ms at the beginning, 1.5 ms at the end (+50.0%); 49 °C then, 80 °C at most; "
        "throttled: a\\|b |"
    )
    short = {**run, "seconds": 10.0, "throttled": None, "begin_temperature_c": None, "highest_temperature_c": None}
    assert _sustained(short)[1].startswith("| 10 s without a pause | 1 ms at the beginning")
    assert _sustained(short)[1].endswith("(+50.0%); the board does not tell whether it throttles |")
    assert _sustained({**run, "throttled": ""})[1].endswith("; not throttled |")
    assert _sustained(None) == []


def test_names_of_classes(tmp_path: Path) -> None:
    import pandas as pd
    from torchvision import datasets

    assert class_names("fashion-mnist", 10, None) == datasets.FashionMNIST.classes
    assert class_names("SVHN", 10, None) == list("0123456789")
    assert class_names("fashion-mnist", 4, None) == ["0", "1", "2", "3"]
    assert class_names("arrays", 3, None) == ["0", "1", "2"]
    write_table(tmp_path / "images.csv", pd.DataFrame({"path": []}), {"classes": ["cat", "two\nlines"]})
    assert class_names("folder", 2, tmp_path / "images.csv") == ["cat", "two lines"]
