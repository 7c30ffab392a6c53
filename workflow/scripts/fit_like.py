"""Fit the latency predictor of one image size on a device that is likened to others."""

import logging
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.device.like import LikeConfig
from foxnas.files.tables import read_json, write_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.likeness import Likening, held_out_error_percent
from foxnas.predictor.mix import NOT_NEEDED
from foxnas.predictor.model import Predictor
from foxnas.predictor.sampled import Sampled
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    form: Form,
    folds: int,
    seed: int,
    like: LikeConfig,
    image_size: int,
    table: Path,
    session: Path,
    regressions: list[Path],
    predictor: Path,
    fits: Path,
) -> None:
    """Write the mix of the regressions of `like.devices`, and beside it how it came about.

    Where the device was unlike them and all subnets were timed, the fits are those of any device.
    """
    sampled = Sampled.read(space, table, NOT_NEEDED)
    donors = dict(zip(like.devices, map(Predictor.load, regressions), strict=True))
    archs, y = sampled.archs, sampled.latency_ms
    asked: dict[str, Any] = {"target": "latency", "unit": "ms", "folds": folds, "seed": seed}
    found = {
        "until_percent": like.until_percent,
        "sampled": len(sampled.population),
        "timed": sampled.timed,
        "donors": {
            name: {"rows": len(one.rows.id), "error_percent": held_out_error_percent(one)}
            for name, one in donors.items()
            if one.rows
        },
        **read_json(session, ["like"])["like"],
    }
    if found["enough"]:
        likening = Likening(donors, sampled.population)
        fitted = {form: likening.fit(space, image_size, archs, y, **asked)}
        found |= likening.record(archs, y)
        expected = found["error_percent"]
        if expected is None or expected > like.until_percent:
            within = "nobody knows within what" if expected is None else f"within {expected:.1f}%"
            logging.warning(
                "%d px: the other devices were measured or fitted again since; now 95%% of subnets are expected %s, "
                "not within %g%%: to have more probes chosen, run again with `--forcerun time_chosen`",
                image_size, within, like.until_percent,
            )  # fmt: skip
    else:
        fitted = in_every_form(
            form,
            lambda shape: fit(
                **shape_of("latency", shape), space=space, image_size=image_size, archs=archs, y=y, **asked
            ),
        )
        found |= {"weights": {}, "error_percent": held_out_error_percent(fitted[form])}
    made_by |= {"flagged": sampled.flagged}
    fitted[form].save(predictor, made_by)
    described = {f"latency/{shape}": one.to_json() for shape, one in fitted.items()}
    chosen = {"chosen": f"latency/{form}", "flagged": sampled.flagged}
    write_json(fits, {"made_by": made_by, **chosen, "fits": described, "like": found})


if __name__ == "__main__":
    cli.run(main)
