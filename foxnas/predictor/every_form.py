"""Fits by the names of the config's forms: one, or all of a target side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from numpy.typing import ArrayLike

from foxnas.arch import Arch
from foxnas.errors import FoxnasError
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import FORMS, formula_name, is_shrunk
from foxnas.predictor.model import Predictor
from foxnas.space import SearchSpace

log = logging.getLogger(__name__)


def fit_form(
    base: str,
    form: str,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    *,
    target: str,
    unit: str,
    folds: int,
    seed: int,
) -> Predictor:
    """Return the fit of one form, as the config calls it; see `fit` for the parameters and the errors."""
    return fit(
        formula_name(base, form), space, image_size, archs, y,
        target=target, unit=unit, shrink=is_shrunk(form), folds=folds, seed=seed,
    )  # fmt: skip


def fit_every_form(
    base: str,
    chosen: str | None,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    *,
    target: str,
    unit: str,
    folds: int,
    seed: int,
) -> dict[str, Predictor]:
    """Return the fits of a target by form, in the order of `FORMS`; see `fit` for the parameters.

    Parameters
    ----------
    base
        Whose products the paper's terms have: "accuracy" or "latency".
    chosen
        The form that must succeed. Another that these rows do not determine is left out, and the log says why.
    """
    fitted: dict[str, Predictor] = {}
    for form in FORMS:
        try:
            fitted[form] = fit_form(
                base, form, space, image_size, archs, y, target=target, unit=unit, folds=folds, seed=seed
            )
        except FoxnasError as error:
            if form == chosen:
                raise
            log.warning("form %s is left out: %s", form, error)
    return fitted
