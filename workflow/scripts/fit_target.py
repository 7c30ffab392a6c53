"""Fit the regressions of a further target, at every image size."""

from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_json
from foxnas.predictor.config import FurtherTargetConfig
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import shape_of
from foxnas.predictor.targets import read_target
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: FurtherTargetConfig,
    folds: int,
    seed: int,
    tables: list[Path],
    fits: list[Path],
) -> None:
    """Write every form of the target, one file per image size, in the order of the tables."""
    for size, table, path in zip(space.image_sizes, tables, fits, strict=True):
        texts, values = read_target(table, target.column, own=target.table is not None)
        of_size = partial(
            fit, space=space, image_size=size, archs=[space.parse(text) for text in texts], y=values,
            target=target.name, unit=target.unit, folds=folds, seed=seed,
        )  # fmt: skip
        fitted = in_every_form(target.form, lambda form, of_size=of_size: of_size(**shape_of("latency", form)))
        described = {f"{target.name}/{form}": one.to_json() for form, one in fitted.items()}
        write_json(path, {"made_by": made_by, "chosen": f"{target.name}/{target.form}", "fits": described})


if __name__ == "__main__":
    cli.run(main)
