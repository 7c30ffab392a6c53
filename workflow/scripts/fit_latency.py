"""Fit the latency predictors of one image size on one device."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.files.tables import read_table, write_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    form: Form,
    folds: int,
    seed: int,
    image_size: int,
    table: Path,
    predictor: Path,
    fits: Path,
) -> None:
    """Write the predictor in `form`, and beside it every fit; rows flagged by the device are left out, and counted."""
    measured = read_table(table, ["id", "arch", "latency_ms", "usable"])
    rows = measured[measured["usable"]]
    flagged = len(measured) - len(rows)
    if flagged:
        logging.warning("%s: %d of %d subnets are flagged and left out of the fit", table, flagged, len(measured))
    archs = [space.parse(str(text)) for text in rows["arch"]]
    fitted = in_every_form(
        form,
        lambda shape: fit(
            **shape_of("latency", shape), space=space, image_size=image_size, archs=archs,
            y=rows["latency_ms"].to_numpy(), target="latency", unit="ms", folds=folds, seed=seed,
        ),
    )  # fmt: skip
    made_by |= {"flagged": flagged}
    fitted[form].save(predictor, made_by)
    described = {f"latency/{shape}": one.to_json() for shape, one in fitted.items()}
    write_json(fits, {"made_by": made_by, "chosen": f"latency/{form}", "flagged": flagged, "fits": described})


if __name__ == "__main__":
    cli.run(main)
