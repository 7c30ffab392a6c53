"""The predictor of a device that is likened to others: a mix of their regressions, with all that a fit says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foxnas.errors import FoxnasError
from foxnas.predictor.description import described
from foxnas.predictor.link import IDENTITY, LinkName
from foxnas.predictor.mix import FEWEST, Basis, Mix, fit_mix
from foxnas.predictor.model import Predictor
from foxnas.predictor.rows import checked_rows
from foxnas.predictor.solution import Solution, cross_validated
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray


@dataclass(frozen=True, eq=False)
class Likening:
    """The regressions that a device is likened to, by the name of their device, and what is to be predicted."""

    donors: Mapping[str, Predictor]
    population: Sequence[Arch]

    @cached_property
    def basis(self) -> Basis:
        """What a mix of them is made of."""
        return Basis.of(self.donors, self.population)

    def fit(
        self,
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
        """Return the predictor that few measured subnets make of the donors; see `foxnas.predictor.fit.fit`.

        In every fold weights and penalty are chosen anew. Raises FoxnasError for rows that no fit can take, and for so
        few that they leave nothing to judge the mix by.
        """
        basis = self.basis
        too_few = f"are too few to say how {', '.join(self.donors)} mix; measure at least {FEWEST}"
        measured = checked_rows(basis.formula, space, image_size, archs, y, target, FEWEST, too_few)
        terms = basis.formula.matrix(archs)
        mix = _mixed(basis, terms, measured)
        if not np.isfinite(mix.scale):
            raise FoxnasError(
                f"{target} at {image_size} px: {len(archs)} subnets leave nothing to judge a mix of "
                f"{', '.join(self.donors)} by; to have more probes chosen, run again with `--forcerun time_chosen`"
            )
        return described(
            basis.formula, image_size, [arch.id for arch in archs], terms, measured, target=target, unit=unit,
            link=IDENTITY, solution=_solution(terms, mix, measured), link_parameters=0.0,
            held_out=cross_validated(
                lambda design, y: _mixed(basis, design, y).coefficients, terms, measured, folds,
                np.random.default_rng(seed),
            ),
            folds=min(folds, len(measured)), seed=seed,
        )  # fmt: skip

    def record(self, archs: Sequence[Arch], y: ArrayLike) -> dict[str, Any]:
        """Return what is to be known of the mix beside its predictor: weights and expected error."""
        basis = self.basis
        mix = fit_mix(basis, basis.design(archs), np.asarray(y, dtype=float))
        expected = mix.expected_error_percent(basis.design(self.population))
        return {
            "weights": dict(zip(basis.names, map(float, mix.weights), strict=True)),
            "error_percent": expected if np.isfinite(expected) else None,
        }


def held_out_error_percent(predictor: Predictor) -> float:
    """Return within how many percent of their cross-validated predictions 95% of a fit's subnets were measured."""
    return float(100 * np.quantile(_off(predictor), 0.95))


def held_out_share(predictor: Predictor, percent: float) -> float:
    """Return the percentage of a fit's subnets that were measured within so many percent of that prediction."""
    return float(100 * np.mean(_off(predictor) <= percent / 100))


def _off(predictor: Predictor) -> FloatArray:
    assert predictor.rows
    return np.abs(np.asarray(predictor.rows.measured) / np.asarray(predictor.rows.held_out) - 1)


def _mixed(basis: Basis, terms: FloatArray, y: FloatArray) -> Mix:
    return fit_mix(basis, np.column_stack([np.ones(len(terms)), terms]), y)


def _solution(terms: FloatArray, mix: Mix, y: FloatArray) -> Solution:
    return Solution(
        coefficients=mix.coefficients,
        unscaled_covariance=mix.unscaled_covariance,
        fitted=y - mix.residual,
        leverage=mix.leverage,
        effective_parameters=float(mix.leverage.sum()),
        shrinkage=mix.penalty,
        variance_inflation=len(terms) * np.diag(mix.unscaled_covariance)[1:] * terms.var(axis=0),
    )


def fit_mixed(likening: Likening, *, link: LinkName, **rows: Any) -> Predictor:
    """Return the mix, called as `foxnas.predictor.fit.fit` is."""
    assert link == "identity", "a latency is a sum over units"
    return likening.fit(**rows)


def regressions_at(size: int, names: Sequence[str], files: Sequence[Path]) -> dict[str, Predictor]:
    """Return the regressions of a size by device, of files of all sizes of the first device, then the next.

    Raises FoxnasError like `Predictor.load`.
    """
    each = len(files) // len(names)
    loaded = [(names[place // each], Predictor.load(path)) for place, path in enumerate(files)]
    return {name: predictor for name, predictor in loaded if predictor.image_size == size}
