"""Outcomes of several supernets as one: against an evaluation of all images at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.accuracy.evaluation import Evaluation, fold_means, outcome_of
from foxnas.accuracy.folds import pooled
from foxnas.accuracy.hardware import PROCESSORS
from foxnas.accuracy.outcomes import COLUMNS, Outcome, read_outcomes, write_outcomes
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_provenance, read_table, write_table
from foxnas.space.space import SearchSpace
from tests.support.scripts import script

RNG = np.random.default_rng(0)


def seen(images: int) -> tuple[Evaluation, Outcome]:
    one = Evaluation(RNG.random(images) < 0.7, RNG.random(images).astype(np.float32), 1.25)
    return one, outcome_of(one, PROCESSORS)


def test_folds_are_what_one_evaluation_of_all_images_is() -> None:
    """60 images fill the parts of the reliability alike; 61 leave bits over in the last byte."""
    for images in (60, 61):
        parts = [seen(images) for _ in range(3)]
        found = pooled([outcome for _, outcome in parts])
        correct = np.concatenate([one.correct for one, _ in parts])
        probability = np.concatenate([one.correct_probability for one, _ in parts])
        assert found.top1_percent == pytest.approx(100 * correct.mean())
        assert found.correct_probability_percent == pytest.approx(100 * probability.mean(dtype=float), abs=1e-5)
        assert (found.images, found.seconds) == (3 * images, 3.75)
        assert (np.unpackbits(found.correct)[: 3 * images] == correct).all()
        if images == 60:
            np.testing.assert_allclose(found.probability_folds, fold_means(probability), rtol=1e-6)


def test_folds_of_different_sizes_are_refused() -> None:
    with pytest.raises(FoxnasError, match="folds of 60 and 61 images"):
        pooled([seen(60)[1], seen(61)[1]])


def test_the_script_joins_tables_and_outcomes_in_the_order_of_the_subnets(mini: SearchSpace, tmp_path: Path) -> None:
    names, folds = ["a", "b", "c"], [[seen(61)[1] for _ in range(3)] for _ in range(2)]
    for number, outcomes in enumerate(folds):
        rows = [{"id": name, "arch": f"arch {name}", **one.row()} for name, one in zip(names, outcomes, strict=True)]
        write_table(tmp_path / f"{number}.csv", pd.DataFrame(rows, columns=COLUMNS), {"fold": number})
        write_outcomes(tmp_path / f"{number}.npz", names, outcomes)
    script("pool_folds")(
        space=mini, sample=None, tables=[tmp_path / "0.csv", tmp_path / "1.csv"],
        parts=[tmp_path / "0.npz", tmp_path / "1.npz"], table=tmp_path / "all.csv", outcomes=tmp_path / "all.npz",
    )  # fmt: skip
    table, kept = read_table(tmp_path / "all.csv", COLUMNS), read_outcomes([tmp_path / "all.npz"], names)
    assert list(table["arch"]) == ["arch a", "arch b", "arch c"]
    assert list(table["images"]) == [122] * 3
    for place, pair in enumerate(zip(*folds, strict=True)):
        expected = pooled([replace(one) for one in pair])
        assert table["top1_percent"][place] == expected.top1_percent
        assert (kept["top1"][place] == np.unpackbits(expected.correct)).all()
    assert [made["fold"] for made in read_provenance(tmp_path / "all.csv")["folds"]] == [0, 1]
