"""Which link a predictor takes, and how fits are called in files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from foxnas.errors import FoxnasError
from foxnas.predictor.link import LINKS, LinkChoice, LinkName
from foxnas.predictor.model import Predictor

log = logging.getLogger(__name__)

#: A predictor, or one for every image size.
Fit = TypeVar("Fit")


#: Ends the name of a fit whose image sizes were fitted together.
_TOGETHER = "together"


def fit_key(target: str, form: str, link: LinkName = "identity", together: bool = False) -> str:
    """Return the name of a fit in a file: "target/form", "/link" where that is not the paper's, and "/together"."""
    parts = [target, form, *([link] if link != "identity" else []), *([_TOGETHER] if together else [])]
    return "/".join(parts)


class NamedFit(NamedTuple):
    """What the name of a fit says, in the order in which `fit_key` takes it."""

    target: str
    form: str
    link: LinkName
    together: bool

    @classmethod
    def of(cls, key: str) -> NamedFit:
        """Return what a name that `fit_key` returned says."""
        target, form, *rest = key.split("/")
        (link,) = [one for one in LINKS if one in rest] or ["identity"]
        return cls(target, form, link, _TOGETHER in rest)


def fit_links(asked: LinkChoice, fit: Callable[..., Fit]) -> dict[LinkName, Fit]:
    """Return the fits that the choice is among, by link; "auto" leaves out one that the rows do not allow.

    `fit` takes the keyword `link`.
    """
    if asked != "auto":
        return {asked: fit(link=asked)}
    found: dict[LinkName, Fit] = {"identity": fit(link="identity")}
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
