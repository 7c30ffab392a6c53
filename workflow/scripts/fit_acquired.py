"""Fit the accuracy predictors again with what was acquired, calibrated by how well the last round was predicted."""

import logging
from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.files.tables import read_table, write_json
from foxnas.predictor.calibration import Calibration
from foxnas.predictor.forms import Form
from foxnas.predictor.link import LinkChoice, Sizes
from foxnas.predictor.refitting import refit_accuracy, rows_by_size
from foxnas.space.pooling import pool
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: str,
    form: Form,
    link: LinkChoice,
    folds: int,
    seed: int,
    measured: list[Path],
    subnets: list[Path],
    acquired: list[Path],
    predictors: list[Path],
    refit: Path,
    sizes: Sizes = "apart",
) -> None:
    """Write one predictor per image size, and what the rounds so far say of predictions.

    `subnets` and `acquired` are of every round so far: what was promised, and what was measured.
    """
    column = TARGETS[target]
    rows = pd.concat([pool(measured, [column]), pool(acquired, [column])], ignore_index=True)
    fitted = refit_accuracy(
        rows_by_size(space, rows, column), space=space, target=target, form=form, link=link, sizes=sizes, folds=folds,
        seed=seed,
    )  # fmt: skip
    calibration = Calibration()
    for promised, found in zip(subnets, acquired, strict=True):
        said = read_table(promised, ["id", "accuracy", "expected_deviation"])
        both = said.merge(read_table(found, ["id", column])[["id", column]], on="id")
        if len(both):  # the last round that measured anything is most like the search to come
            names = (column, "accuracy", "expected_deviation")
            calibration = Calibration.of(*(both[name].to_numpy(dtype=float) for name in names))
    logging.info(
        "%d subnets acquired; the last round's errors were %.2f times what was expected",
        len(pool(acquired, [column])), calibration.factor,
    )  # fmt: skip
    for path, (predictor, choice) in zip(predictors, fitted.values(), strict=True):
        calibration.of_predictor(predictor).save(path, made_by | {"link": choice})
    write_json(refit, {"made_by": made_by, "calibration": calibration.to_json()})


if __name__ == "__main__":
    cli.run(main)
