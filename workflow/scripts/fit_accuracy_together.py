"""Fit the accuracy predictors of all image sizes together."""

from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.accuracy.fits import Measured, fit_all, needed_link, write_fits
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.link import LINKS, LinkChoice, LinkName
from foxnas.predictor.linking import fit_key
from foxnas.predictor.model import Predictor
from foxnas.predictor.together import fit_together
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
    tables: list[Path],
    outcomes: list[Path],
    predictors: list[Path],
    fits: list[Path],
) -> None:
    """Write each size's predictor of `target`, and beside it every fit, together and apart, with the noise ceilings.

    Files are in the order of the space's image sizes; of outcomes, each size has as many.
    """
    measured = {size: Measured.read(space, table) for size, table in zip(space.image_sizes, tables, strict=True)}
    targets = [
        name for name in measured[space.image_sizes[0]].values if all(name in m.values for m in measured.values())
    ]
    common = {"space": space, "unit": "percent", "folds": folds, "seed": seed}

    def fit_apart(size: int, name: str, scale: LinkName, shape: Form) -> Predictor:
        own = measured[size]
        return fit(
            **shape_of("accuracy", shape), **common, image_size=size, archs=own.archs, y=own.values[name], target=name,
            link=scale,
        )  # fmt: skip

    def fit_target(name: str, scale: LinkName, shape: Form) -> dict[int, Predictor]:
        rows = {size: (own.archs, own.values[name]) for size, own in measured.items()}
        return fit_together(**shape_of("accuracy", shape), **common, rows=rows, target=name, link=scale)

    shared = fit_all(targets, fit_target, (target, needed_link(link), form), together=True)
    keys = {scale: fit_key(target, form, scale, together=True) for scale in LINKS}
    each = len(outcomes) // len(measured)
    for at, (size, own) in enumerate(measured.items()):
        apart = fit_all(targets, partial(fit_apart, size), None)
        write_fits(
            made_by, {key: one[size] for key, one in shared.items()} | apart, link, keys,
            own.ceilings(outcomes[at * each : (at + 1) * each], seed), predictors[at], fits[at],
        )  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
