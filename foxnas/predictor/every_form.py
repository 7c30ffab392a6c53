"""Fits a target in all forms of the config, side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable

from foxnas.errors import FoxnasError
from foxnas.predictor.forms import FORMS, Form
from foxnas.predictor.model import Predictor

log = logging.getLogger(__name__)


def in_every_form(chosen: str | None, fit: Callable[[Form], Predictor]) -> dict[Form, Predictor]:
    """Return what `fit` makes of each form, in the order of `FORMS`.

    `chosen` is the form that must succeed. Another that the measurements do not determine, as a FoxnasError of `fit`
    says, is left out, and the log says why.
    """
    fitted: dict[Form, Predictor] = {}
    for form in FORMS:
        try:
            fitted[form] = fit(form)
        except FoxnasError as error:
            if form == chosen:
                raise
            log.warning("form %s is left out: %s", form, error)
    return fitted
