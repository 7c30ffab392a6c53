"""The forms a regression is offered in: the paper's, and beside it those that let an effect curve."""

from __future__ import annotations

#: As the config spells them; see `foxnas.features.FORMULAS`.
FORMS = ("paper", "quadratic-k", "quadratic")


def formula_name(base: str, form: str) -> str:
    """Return the formula of a base ("accuracy" or "latency") in a form."""
    return base if form == "paper" else f"{base}-{form}"
