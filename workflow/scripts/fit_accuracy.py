"""Fit the accuracy predictors of one image size."""

from pathlib import Path

from foxnas import cli
from foxnas.accuracy.fits import Measured, fit_all, needed_link, write_fits
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.link import LINKS, LinkChoice, LinkName
from foxnas.predictor.linking import fit_key
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
    measured = Measured.read(space, table)

    def fit_target(name: str, scale: LinkName, shape: Form) -> Predictor:
        return fit(
            **shape_of("accuracy", shape), space=space, image_size=image_size, archs=measured.archs,
            y=measured.values[name], target=name, unit="percent", link=scale, folds=folds, seed=seed,
        )  # fmt: skip

    fitted = fit_all(list(measured.values), fit_target, (target, needed_link(link), form))
    keys = {scale: fit_key(target, form, scale) for scale in LINKS}
    write_fits(made_by, fitted, link, keys, measured.ceilings(outcomes, seed), predictor, fits)


if __name__ == "__main__":
    cli.run(main)
