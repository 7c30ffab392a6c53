"""Fit the accuracy predictors of one image size."""

from functools import partial
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS, read_outcomes
from foxnas.accuracy.reliability import split_half_reliability
from foxnas.files.tables import read_table, write_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.model import Predictor
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: str,
    form: Form,
    folds: int,
    seed: int,
    image_size: int,
    table: Path,
    outcomes: list[Path],
    predictor: Path,
    fits: Path,
) -> None:
    """Write the predictor of `target` in `form`, and beside it every fit with the noise ceilings."""
    rows = read_table(table, ["id", "arch", *TARGETS.values()])
    archs = [space.parse(str(text)) for text in rows["arch"]]

    def fit_target(name: str, shape: Form) -> Predictor:
        return fit(
            **shape_of("accuracy", shape), space=space, image_size=image_size, archs=archs,
            y=rows[TARGETS[name]].to_numpy(), target=name, unit="percent", folds=folds, seed=seed,
        )  # fmt: skip

    fitted = {
        f"{name}/{shape}": one
        for name in TARGETS
        for shape, one in in_every_form(form if name == target else None, partial(fit_target, name)).items()
    }
    ceilings = {
        name: split_half_reliability(values, np.random.default_rng(seed))
        for name, values in read_outcomes(outcomes, list(rows["id"])).items()
    }
    chosen = f"{target}/{form}"
    fitted[chosen].save(predictor, made_by)
    described = {name: one.to_json() for name, one in fitted.items()}
    write_json(fits, {"made_by": made_by, "chosen": chosen, "ceilings": ceilings, "fits": described})


if __name__ == "__main__":
    cli.run(main)
