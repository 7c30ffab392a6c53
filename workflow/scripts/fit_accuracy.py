"""Fit the accuracy predictors of one image size."""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS, read_outcomes
from foxnas.accuracy.reliability import split_half_reliability
from foxnas.files.tables import read_table, write_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.link import LINKS, LinkChoice, LinkName
from foxnas.predictor.linking import choose_link, fit_key
from foxnas.predictor.model import Predictor
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
    image_size: int,
    table: Path,
    outcomes: list[Path],
    predictor: Path,
    fits: Path,
) -> None:
    """Write the predictor of `target` in `form` under `link`, and beside it every fit with the noise ceilings.

    A table of the user's has one of the targets, and no outcomes, which the ceilings are made of.
    """
    rows = read_table(table, ["id", "arch", *TARGETS.values()])
    archs = [space.parse(str(text)) for text in rows["arch"]]
    measured = [name for name, column in TARGETS.items() if rows[column].notna().any()]

    def fit_target(name: str, scale: LinkName, shape: Form) -> Predictor:
        return fit(
            **shape_of("accuracy", shape), space=space, image_size=image_size, archs=archs,
            y=rows[TARGETS[name]].to_numpy(), target=name, unit="percent", link=scale, folds=folds, seed=seed,
        )  # fmt: skip

    needed = "identity" if link == "auto" else link
    fitted = {
        fit_key(name, shape, scale): one
        for name, scale in product(measured, LINKS)
        for shape, one in in_every_form(
            form if (name, scale) == (target, needed) else None, partial(fit_target, name, scale)
        ).items()
    }
    ceilings = {
        name: split_half_reliability(values, np.random.default_rng(seed))
        for name, values in (read_outcomes(outcomes, list(rows["id"])) if outcomes else {}).items()
    }
    keys = {scale: fit_key(target, form, scale) for scale in LINKS}
    used, choice = choose_link(link, {scale: fitted[key] for scale, key in keys.items() if key in fitted})
    fitted[keys[used]].save(predictor, made_by | {"link": choice})
    described = {name: one.to_json() for name, one in fitted.items()}
    write_json(
        fits,
        {"made_by": made_by, "chosen": keys[used], "link": choice, "ceilings": ceilings, "fits": described},
    )


if __name__ == "__main__":
    cli.run(main)
