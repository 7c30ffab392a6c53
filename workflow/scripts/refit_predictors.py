"""Fit the predictors again with what earlier rounds of search measured."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.device.like import LikeConfig
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.predictor.block_table import BLOCKS
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.likeness import Likening, fit_mixed, regressions_at
from foxnas.predictor.link import LinkChoice, Sizes
from foxnas.predictor.mix import NOT_TIMED
from foxnas.predictor.model import Predictor
from foxnas.predictor.refitting import refit_accuracy, rows_by_size
from foxnas.search.certificate import front_of
from foxnas.search.goal import Caps
from foxnas.search.landscape import Landscape
from foxnas.search.refinement import moved
from foxnas.space.pooling import pool
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    target: str,
    accuracy_form: Form,
    accuracy_link: LinkChoice,
    latency_form: Form,
    folds: int,
    seed: int,
    caps: Caps,
    settled_points: float,
    budget: Path,
    accuracy: list[Path],
    latency: list[Path],
    before: Path,
    candidates_accuracy: list[Path],
    candidates_latency: list[Path],
    accuracy_predictors: list[Path],
    latency_predictors: list[Path],
    refit: Path,
    like: LikeConfig | None = None,
    blocks: bool = False,
    regressions: list[Path] | None = None,
    accuracy_sizes: Sizes = "apart",
) -> None:
    """Write one accuracy and one latency predictor per image size, and how far the frontier moved.

    Where few subnets were timed on a device that is likened to others, its latency is again a mix of their
    `regressions`: all sizes of one device, then those of the next. Of a device that times `blocks` these are the sums
    of its blocks. A candidate's accuracy is that of the fit split,
    like any subnet's, and its latency that of its exported file.
    """
    column = TARGETS[target]
    sampled_accuracy = pool(accuracy, [column])
    timed = pool(latency, ["latency_ms", "usable", "reason"])
    evaluated = pool(candidates_accuracy, [column])
    medians = {
        name: model["median_ms"] for path in candidates_latency for name, model in read_json(path)["models"].items()
    }
    candidates_timed = evaluated[["id", "arch", "image_size"]].assign(latency_ms=evaluated["id"].map(medians))
    candidates_timed = candidates_timed.dropna()  # one that a compiler refused was not timed
    timed_rows = pd.concat([timed[timed["usable"]], candidates_timed], ignore_index=True)
    made_by |= {"added": sorted(set(evaluated["id"]))}
    accurate_rows = pd.concat([sampled_accuracy, evaluated], ignore_index=True)
    accurate = refit_accuracy(
        rows_by_size(space, accurate_rows, column), space=space, target=target, form=accuracy_form, link=accuracy_link,
        sizes=accuracy_sizes, folds=folds, seed=seed,
    )  # fmt: skip
    for (predictor, choice), path in zip(accurate.values(), accuracy_predictors, strict=True):
        predictor.save(path, made_by | {"link": choice})
    donors = like.devices if like else [BLOCKS] if blocks else []
    fast = {}
    for (size, (archs, y)), path in zip(
        rows_by_size(space, timed_rows, "latency_ms").items(), latency_predictors, strict=True
    ):
        fitting: Callable[..., Predictor] = partial(fit, **shape_of("latency", latency_form))
        sampled = timed[timed["image_size"] == size]
        if donors and sampled["reason"].isin(NOT_TIMED).any():
            population = [space.parse(str(text)) for text in sampled["arch"]]
            fitting = partial(fit_mixed, Likening(regressions_at(size, donors, regressions or []), population))
        fast[size] = fitting(
            space=space,
            image_size=size,
            archs=archs,
            y=y,
            target="latency",
            unit="ms",
            link="identity",
            folds=folds,
            seed=seed,
        )
        fast[size].save(path, made_by)
    after = front_of(Landscape(space, {size: predictor for size, (predictor, _) in accurate.items()}, fast), caps)
    points = moved(
        read_table(before, ["accuracy", "latency_ms"]),
        pd.DataFrame([(c.accuracy, c.latency_ms) for c in after.candidates], columns=["accuracy", "latency_ms"]),
        read_json(budget)["budget_ms"],
    )
    settled = points < settled_points
    logging.info("%d candidates moved the frontier by %.3f points%s", len(evaluated), points, ": settled" * settled)
    write_json(
        refit,
        {"made_by": made_by, "candidates": len(evaluated), "moved_points": points, "settled": bool(settled)},
    )


if __name__ == "__main__":
    cli.run(main)
