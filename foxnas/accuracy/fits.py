"""Every accuracy fit of an image size: read what was measured, fit all forms under all links, choose, and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from foxnas.accuracy.outcomes import TARGETS, read_outcomes
from foxnas.accuracy.reliability import split_half_reliability
from foxnas.files.tables import read_table, write_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.forms import Form
from foxnas.predictor.link import LINKS, LinkChoice, LinkName
from foxnas.predictor.linking import choose_link, fit_key
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray

#: A predictor, or one for every image size.
Fit = TypeVar("Fit")


@dataclass(frozen=True)
class Measured:
    """The measured subnets of one image size; a table of the user's has one of the targets."""

    ids: list[str]
    archs: list[Arch]
    values: Mapping[str, FloatArray]

    @classmethod
    def read(cls, space: SearchSpace, table: Path) -> Measured:
        """Read a table of accuracies."""
        rows = read_table(table, ["id", "arch", *TARGETS.values()])
        values = {name: rows[column].to_numpy() for name, column in TARGETS.items() if rows[column].notna().any()}
        return cls(list(rows["id"]), [space.parse(str(text)) for text in rows["arch"]], values)

    def ceilings(self, outcomes: Sequence[Path], seed: int) -> dict[str, float]:
        """Return each target's noise ceiling; none without outcomes."""
        found = read_outcomes(outcomes, self.ids) if outcomes else {}
        return {
            name: split_half_reliability(values, np.random.default_rng(seed)) for name, values in found.items()
        }  # fmt: skip


def fit_all(
    targets: Sequence[str],
    fit: Callable[[str, LinkName, Form], Fit],
    needed: tuple[str, LinkName, Form] | None,
    together: bool = False,
) -> dict[str, Fit]:
    """Return what `fit` makes of every target, link and form, by `fit_key`.

    `needed` must succeed; another that the rows do not determine is left out.
    """
    return {
        fit_key(name, form, link, together): one
        for name, link in product(targets, LINKS)
        for form, one in in_every_form(
            needed[2] if needed and needed[:2] == (name, link) else None,
            lambda form, name=name, link=link: fit(name, link, form),  # type: ignore[misc]
        ).items()
    }


def needed_link(asked: LinkChoice) -> LinkName:
    """Return the link without which there is nothing to choose."""
    return "identity" if asked == "auto" else asked


def write_fits(
    made_by: Mapping[str, Any],
    fitted: Mapping[str, Predictor],
    asked: LinkChoice,
    keys: Mapping[LinkName, str],
    ceilings: Mapping[str, float],
    predictor: Path,
    fits: Path,
) -> None:
    """Write the predictor of the chosen link, `keys` being what its fits are called, and beside it every fit."""
    used, choice = choose_link(asked, {link: fitted[key] for link, key in keys.items() if key in fitted})
    fitted[keys[used]].save(predictor, {**made_by, "link": choice})
    described = {name: one.to_json() for name, one in fitted.items()}
    write_json(
        fits, {"made_by": made_by, "chosen": keys[used], "link": choice, "ceilings": ceilings, "fits": described}
    )
