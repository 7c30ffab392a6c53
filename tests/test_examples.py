"""examples/method.py: short, of public names alone, right in every number that it prints; and the table beside it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import numpy as np
import pytest

from examples.method import NOISE, published
from examples.tables import TABLE, table
from foxnas.config.whole import read_config
from foxnas.tables.reading import read_measurements
from tests.support.examples import ROOT

METHOD = ROOT / "examples" / "method.py"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What it prints, started from another folder, as a reader may."""
    done = subprocess.run(
        [sys.executable, METHOD],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_it_is_one_page_of_public_names() -> None:
    text = METHOD.read_text()
    assert len(text.splitlines()) <= 150
    names = [
        name.name if isinstance(node, ast.Import) else f"{node.module}.{name.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    ]
    assert {name for name in names if name.startswith("foxnas")}
    attributes = [node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    assert not [name for name in [*attributes, *".".join(names).split(".")] if re.match("_(?!_future__)", name)]


def test_the_fits_find_what_the_subnets_were_labelled_with(printed: str) -> None:
    """Of 95% intervals, 32 or more of 35, and 36 or more of 40, cover the truth with probability 0.97 or so each."""
    found = re.findall(
        r"(accuracy|latency) +adjusted R2 ([\d.]+); (\d+) of (\d+) .*\n.* R2 ([\d.]+), .* ([\d.]+)", printed
    )
    assert [(name, int(all_of_them)) for name, _, _, all_of_them, _, _ in found] == [("accuracy", 40), ("latency", 35)]
    for _, adjusted, covered, all_of_them, unseen, tau in found:
        assert int(covered) >= int(all_of_them) * 0.9
        # The noise is in the labels alone: a fit is nearer to the truth than to what it was fitted to.
        assert 0.9 < float(adjusted) < float(unseen) <= 1
        assert float(tau) > 0.9


def test_annealing_ends_at_the_proven_optimum_and_near_the_truth(printed: str) -> None:
    rows = re.findall(
        r"^ +(\d+) ms +([\d.]+)% +([\d.]+) ms +([\d.]+) +([\d.]+)% +([\d.]+) ms +([\d.]+)%$", printed, re.M
    )
    table = [[float(number) for number in row] for row in rows]
    assert [row[0] for row in table] == [45, 65, 90]
    for budget, _, latency_ms, gap, true_accuracy, true_latency_ms, optimum in table:
        assert latency_ms <= budget
        assert gap == pytest.approx(0, abs=0.01)
        assert true_latency_ms == pytest.approx(latency_ms, abs=1)
        assert optimum - 0.5 < true_accuracy
    # The optima of the published problem, which docs/evidence/search.md has with three digits.
    evidence = (ROOT / "docs" / "evidence" / "search.md").read_text()
    for budget, optimum in ((45, table[0][-1]), (65, table[1][-1])):
        (stated,) = {round(float(one), 2) for one in re.findall(rf"\| {budget} ms, optimum ([\d.]+)% \|", evidence)[:1]}
        assert optimum == pytest.approx(stated, abs=0.006)


def test_the_twists_listed_gain_and_fit(printed: str) -> None:
    moves = re.findall(r"([+-][\d.]+) points \(.*\) for ([+-][\d.]+) ms", printed)
    assert len(moves) == 3
    gains = [float(gain) for gain, _ in moves]
    assert gains == sorted(gains, reverse=True)
    assert min(gains) > 0
    assert all(float(cost) < 5 for _, cost in moves)


def test_the_table_is_what_its_program_writes_and_its_config_takes_it() -> None:
    assert TABLE.read_text() == table()
    config = read_config(ROOT / "examples" / "tables.yaml")
    assert config.accuracy.table
    found = read_measurements([TABLE], config.accuracy.table, config.space)
    truth = published("accuracy", config.space).predict([one.arch for one in found]).mean
    noise = np.subtract([one.value for one in found], truth)
    assert len(found) == 300
    assert abs(noise.std() - NOISE["accuracy"]) < 0.03  # three standard errors of it
