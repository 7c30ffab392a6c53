"""Fits of all image sizes again, apart or together, under the link that is asked for, and the rows that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from foxnas.predictor.fit import fit
from foxnas.predictor.forms import Form, shape_of
from foxnas.predictor.link import LinkChoice, Sizes
from foxnas.predictor.linking import choose_link, fit_links
from foxnas.predictor.model import Predictor
from foxnas.predictor.together import fit_together
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray


def rows_by_size(space: SearchSpace, table: pd.DataFrame, column: str) -> dict[int, tuple[list[Arch], FloatArray]]:
    """Return the subnets of each image size in a pooled table, without repeats, and what was measured of them."""
    return {
        size: ([space.parse(str(text)) for text in own["arch"]], own[column].to_numpy(dtype=float))
        for size in space.image_sizes
        for own in [table[table["image_size"] == size].drop_duplicates("id")]
    }


def refit_accuracy(
    rows: Mapping[int, tuple[Sequence[Arch], FloatArray]],
    *,
    space: SearchSpace,
    target: str,
    form: Form,
    link: LinkChoice,
    sizes: Sizes,
    folds: int,
    seed: int,
) -> dict[int, tuple[Predictor, dict[str, Any]]]:
    """Return each size's accuracy predictor, fitted to its measured subnets, and the record of its link."""
    common: dict[str, Any] = {
        **shape_of("accuracy", form), "space": space, "target": target, "unit": "percent", "folds": folds, "seed": seed,
    }  # fmt: skip
    shared = fit_links(link, partial(fit_together, rows=rows, **common)) if sizes == "together" else {}
    found = {}
    for size, (archs, y) in rows.items():
        by_link = {name: one[size] for name, one in shared.items()} or fit_links(
            link, partial(fit, image_size=size, archs=archs, y=y, **common)
        )
        used, choice = choose_link(link, by_link)
        found[size] = by_link[used], choice
    return found
