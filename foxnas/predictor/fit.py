"""Fit a predictor to the subnets of one image size, by least squares or drawn towards zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from foxnas.predictor.asymptote import log_complement
from foxnas.predictor.description import described
from foxnas.predictor.link import IDENTITY, Link, LinkName
from foxnas.predictor.model import Predictor
from foxnas.predictor.rows import FEWEST_SHRUNK, TOO_FEW_SHRUNK, check_determined, check_varied, checked_rows
from foxnas.predictor.solution import (
    cross_validated,
    least_squares,
    least_squares_coefficients,
    shrunk,
    shrunk_coefficients,
)
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, Formula
from foxnas.space.terms import formula as formula_of


def fit(
    formula: str,
    space: SearchSpace,
    image_size: int,
    archs: Sequence[Arch],
    y: ArrayLike,
    *,
    target: str,
    unit: str,
    shrink: bool = False,
    link: LinkName = "identity",
    folds: int = 10,
    seed: int = 0,
) -> Predictor:
    """Fit `formula` (a name in `foxnas.space.terms.FORMULAS`) to the measured subnets of one image size.

    Parameters
    ----------
    archs, y
        The subnets and what was measured of them, in `unit` (top-1: percent; latency: milliseconds).
    target
        What was measured; appears in messages and in the report.
    shrink
        Draw the coefficients towards zero (`foxnas.predictor.solution.shrunk`) instead of ordinary least squares.
    link
        The scale of the sum; "log-complement" is fitted with the asymptote of `foxnas.predictor.asymptote`, which
        counts as one more parameter.
    folds, seed
        Of the cross-validated figures.

    Raises
    ------
    FoxnasError
        Fewer rows than terms + 2 (+ 3 with an asymptote; for a shrunk fit: than 20), rows of another size or outside
        the space, duplicate subnets, a measurement that is not a number or never differs, a term that is constant or
        (unless shrunk) a combination of others; the row or term is named.
    """
    terms = formula_of(formula, space)
    measured = checked_rows(terms, space, image_size, archs, y, target, *_fewest(terms, shrink, link))
    design = terms.matrix(archs)
    check_varied(terms, design, target)
    if not shrink:
        check_determined(terms, design - design.mean(axis=0), target)

    def link_of(some_design: FloatArray, some_y: FloatArray) -> Link:
        return IDENTITY if link == "identity" else log_complement(some_design, some_y, shrink)

    used = link_of(design, measured)
    coefficients = shrunk_coefficients if shrink else least_squares_coefficients
    return described(
        terms, image_size, [a.id for a in archs], design, measured, target=target, unit=unit, link=used,
        solution=(shrunk if shrink else least_squares)(design, used.forward(measured)),
        link_parameters=float(used != IDENTITY),
        held_out=cross_validated(coefficients, design, measured, folds, np.random.default_rng(seed), link_of),
        folds=min(folds, len(measured)), seed=seed,
    )  # fmt: skip


def _fewest(terms: Formula, shrink: bool, link: LinkName) -> tuple[int, str]:
    """Return how many rows a fit needs, and what to say where there are fewer."""
    if shrink:
        return FEWEST_SHRUNK, TOO_FEW_SHRUNK
    fewest = len(terms.terms) + (2 if link == "identity" else 3)
    return fewest, (
        f"are too few for formula {terms.name!r}, which has {len(terms.terms)} terms; measure at least {fewest} (300 "
        "are usual)"
    )
