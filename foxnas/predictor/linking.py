"""Which link a predictor takes, and how fits are called in files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from foxnas.errors import FoxnasError
from foxnas.predictor.link import LinkChoice, LinkName
from foxnas.predictor.model import Predictor

log = logging.getLogger(__name__)


def fit_key(target: str, form: str, link: LinkName = "identity") -> str:
    """Return the name of a fit in a file: "target/form", and "/link" where that is not the paper's."""
    return f"{target}/{form}" if link == "identity" else f"{target}/{form}/{link}"


def fit_links(asked: LinkChoice, fit: Callable[..., Predictor]) -> dict[LinkName, Predictor]:
    """Return the fits that the choice is among, by link; "auto" leaves out one that the rows do not allow.

    `fit` takes the keyword `link`.
    """
    if asked != "auto":
        return {asked: fit(link=asked)}
    found: dict[LinkName, Predictor] = {"identity": fit(link="identity")}
    try:
        found["log-complement"] = fit(link="log-complement")
    except FoxnasError as error:
        log.warning("link log-complement is left out: %s", error)
    return found


def choose_link(asked: LinkChoice, fitted: Mapping[LinkName, Predictor]) -> tuple[LinkName, dict[str, Any]]:
    """Return the link to take of those fitted to the same rows in the same form, and the record of the choice.

    "auto" takes the one with the smallest cross-validated error (RMSE, in the target's unit); in every fold the
    asymptote is chosen anew, by the rows of that fold's fit alone.
    """
    errors = {name: one.quality.rmse_cv for name, one in fitted.items() if one.quality}
    used = min(errors, key=errors.__getitem__) if asked == "auto" else asked
    return used, {"asked": asked, "used": used, "rmse_cv": errors}
