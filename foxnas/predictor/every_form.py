"""Fits a target in all forms of the config, side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from foxnas.errors import FoxnasError
from foxnas.predictor.forms import FORMS, Form

log = logging.getLogger(__name__)

#: A predictor, or one for every image size.
Fit = TypeVar("Fit")


def in_every_form(chosen: str | None, fit: Callable[[Form], Fit]) -> dict[Form, Fit]:
    """Return what `fit` makes of each form, in the order of `FORMS`.

    `chosen` is the form that must succeed. Another that the measurements do not determine, as a FoxnasError of `fit`
    says, is left out, and the log says why.
    """
    fitted: dict[Form, Fit] = {}
    for form in FORMS:
        try:
            fitted[form] = fit(form)
        except FoxnasError as error:
            if form == chosen:
                raise
            log.warning("form %s is left out: %s", form, error)
    return fitted
