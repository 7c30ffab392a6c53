"""Fit the predictors of several image sizes together, so that each learns from the subnets of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from foxnas.errors import FoxnasError
from foxnas.predictor.asymptote import with_smallest_error
from foxnas.predictor.description import described
from foxnas.predictor.link import IDENTITY, Link, LinkName
from foxnas.predictor.model import Pooling, Predictor
from foxnas.predictor.partial_pooling import PartialPooling, Shared, Values
from foxnas.predictor.rows import FEWEST_SHRUNK, TOO_FEW_SHRUNK, check_determined, check_varied, checked_rows
from foxnas.predictor.solution import Solution, unstandardised
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray
from foxnas.space.terms import formula as formula_of


def fit_together(
    formula: str,
    space: SearchSpace,
    rows: Mapping[int, tuple[Sequence[Arch], ArrayLike]],
    *,
    target: str,
    unit: str,
    shrink: bool = False,
    link: LinkName = "identity",
    folds: int = 10,
    seed: int = 0,
) -> dict[int, Predictor]:
    """Fit `formula` to the measured subnets of all image sizes, with coefficients that share what they have in common.

    The predictors are like those of `foxnas.predictor.fit.fit`, which each have one size's rows alone: sums over units.

    Parameters
    ----------
    rows
        By image size, the subnets and what was measured of them.
    shrink
        Draw what the sizes have in common towards zero, too.
    link
        "log-complement" has one asymptote for all sizes, with the smallest leave-one-out error of all rows.
    folds, seed
        Of the cross-validated figures. A fold leaves out the same part of every size's rows as a fit of that size
        would. The asymptote is chosen anew in each, the penalties are those of all rows.

    Raises
    ------
    FoxnasError
        As `fit`; each size needs as many rows as a shrunk fit, and all together more than there are terms and sizes.
    """
    terms = formula_of(formula, space)
    sizes = sorted(rows)
    y = [checked_rows(terms, space, size, *rows[size], target, FEWEST_SHRUNK, TOO_FEW_SHRUNK) for size in sizes]
    designs = [terms.matrix(rows[size][0]) for size in sizes]
    for design in designs:
        check_varied(terms, design, target)
    count, fewest = sum(map(len, y)), len(terms.terms) + len(sizes) + 2
    if not shrink and count < fewest:
        raise FoxnasError(
            f"{target}: {count} subnets of all image sizes are too few for formula {terms.name!r}, which has "
            f"{len(terms.terms)} terms; measure at least {fewest}"
        )
    pooling = PartialPooling.of(sizes, designs)
    if not shrink:
        check_determined(terms, np.concatenate(list(pooling.terms)), target)
    penalties = pooling.best_penalties(IDENTITY, y, shrink)
    used = _link(pooling, pooling.shared(penalties), link, y)
    if link != "identity":
        penalties = pooling.best_penalties(used, y, shrink, penalties)
        used = _link(pooling, pooling.shared(penalties), link, y)
    shared = pooling.shared(penalties)
    if shared is None:
        raise FoxnasError(
            f"{target}: a row alone decides a coefficient of formula {terms.name!r}; measure more subnets"
        )
    held_out = _cross_validated(sizes, designs, y, penalties, link, folds, seed)
    slopes = pooling.slopes(shared, used, y)
    sampling = np.einsum("ij,ji->i", shared.inverse @ pooling.squares, shared.inverse).reshape(slopes.shape)
    found = {}
    for at, size in enumerate(sizes):
        own, sums = shared.leverage[at], used.forward(y[at])
        back, covariance = unstandardised(
            pooling.centres[at], pooling.spread, len(y[at]), pooling.of_size(shared.inverse, at)
        )
        found[size] = described(
            terms, size, [arch.id for arch in rows[size][0]], designs[at], y[at], target=target, unit=unit, link=used,
            solution=Solution(
                back @ np.r_[sums.mean(), slopes[at]], covariance, sums.mean() + pooling.terms[at] @ slopes[at], own,
                float(own.sum()), penalties[-1], len(y[at]) * sampling[at],
            ),
            link_parameters=(used != IDENTITY) / len(sizes), held_out=held_out[at], folds=min(folds, len(y[at])),
            seed=seed, pooling=Pooling(tuple(sizes), count, penalties),
        )  # fmt: skip
    return found


def _link(pooling: PartialPooling, shared: Shared | None, link: LinkName, y: Values) -> Link:
    """Return the link of that name whose asymptote has the smallest leave-one-out error with given penalties."""
    if link == "identity":
        return IDENTITY
    return with_smallest_error(
        np.concatenate(list(y)), lambda asymptotes: [pooling.error(shared, Link(c), y) for c in asymptotes.tolist()]
    )


def _cross_validated(
    sizes: Sequence[int],
    designs: Values,
    y: Values,
    penalties: Sequence[float],
    link: LinkName,
    folds: int,
    seed: int,
) -> list[FloatArray]:
    """Return each row's prediction by the fit to the folds it is not in."""
    parts = [
        np.array_split(np.random.default_rng(seed).permutation(len(values)), min(folds, len(values))) for values in y
    ]
    predicted = [np.empty(len(values)) for values in y]
    for fold in range(max(map(len, parts))):
        left_out = [of_size[fold] if fold < len(of_size) else np.empty(0, dtype=int) for of_size in parts]
        rest = [np.setdiff1d(np.arange(len(v)), part) for v, part in zip(y, left_out, strict=True)]
        some_y = [values[kept] for values, kept in zip(y, rest, strict=True)]
        pooling = PartialPooling.of(sizes, [design[kept] for design, kept in zip(designs, rest, strict=True)])
        shared = pooling.shared(penalties)
        if shared is None:
            raise FoxnasError("a row alone decides a coefficient in a fold; measure more subnets")
        used = _link(pooling, shared, link, some_y)
        for at, slopes in enumerate(pooling.slopes(shared, used, some_y)):
            z = (designs[at][left_out[at]] - pooling.centres[at]) / pooling.spread
            predicted[at][left_out[at]] = used.inverse(used.forward(some_y[at]).mean() + z @ slopes)
    return predicted
