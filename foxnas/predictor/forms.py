"""The forms a regression is offered in: the paper's, and beside it those that are nearer to what is measured."""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

#: As the config spells them; see `foxnas.space.terms.FORMULAS` for the terms, `foxnas.predictor.solution` for "shrunk".
Form = Literal["paper", "quadratic-k", "quadratic", "quadratic-shrunk", "layers", "layers-shrunk"]
FORMS: tuple[Form, ...] = get_args(Form)

#: The form in which every layer adds its own share, whatever the others are.
SUM_OF_LAYERS: Form = "layers"

_SHRUNK = "-shrunk"


class Shape(TypedDict):
    """What a form is to `foxnas.predictor.fit.fit`."""

    formula: str
    shrink: bool


def shape_of(base: str, form: str) -> Shape:
    """Return the shape of a fit: a base ("accuracy" or "latency": whose products the paper's terms have) in a form."""
    return {"formula": formula_name(base, form), "shrink": is_shrunk(form)}


def formula_name(base: str, form: str) -> str:
    """Return the formula of a base ("accuracy" or "latency") in a form."""
    terms = form.removesuffix(_SHRUNK)
    if terms == SUM_OF_LAYERS:
        return terms
    return base if terms == "paper" else f"{base}-{terms}"


def is_shrunk(form: str) -> bool:
    """Return whether the coefficients of a form are drawn towards zero."""
    return form.endswith(_SHRUNK)
