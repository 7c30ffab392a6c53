"""A new device's latency as a mix of other devices' latency regressions, from few probes.

A regression is an intercept and a sum over units, and so is a mix of several: exact search and intervals stay what they
are. Of the new device are fitted, to its probes: an intercept; a weight, not negative, for every other device (the
*donors*); and, drawn towards zero, by how much each donor's terms of one kind (all that E does, all that K does, ...)
count for more or less than its others: a device may have slow kernels for K = 7 and else be like a donor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from foxnas.errors import FoxnasError
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch
from foxnas.space.terms import FloatArray, Formula

#: Penalties on what kinds of terms deviate by, to choose from; times the squared, standardised deviations.
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)

#: What a probe's noise is taken for when probes are chosen, and a deviation: in standard deviations of the latencies.
#: On 11 devices a noise of 0.1 to 1 orders the probes equally well (docs/evidence/transfer.md).
_NOISE, _DEVIATION = 0.3, 1 / 3


#: Usable probes below which nothing is said of a mix: an intercept, one donor, and something to judge both by.
FEWEST = 5

#: Why a subnet of a table has no latency, where few were enough.
NOT_NEEDED = "not timed: a mix of other devices predicts closely enough"
#: The same where a table of blocks says what every subnet takes.
BY_BLOCKS = "not timed: the sum of its blocks predicts it"
#: Every such reason.
NOT_TIMED = (NOT_NEEDED, BY_BLOCKS)


@dataclass(frozen=True, eq=False)
class Basis:
    """What a mix is made of, as coefficients of one formula, the intercept's first.

    Attributes
    ----------
    formula
        The donors' own.
    names
        Of the donors.
    spread
        Standard deviation of each donor's predictions over the population, in its unit: (donors,).
    donors
        Each donor's coefficients, scaled to a spread of 1: (terms + 1, donors).
    deviations
        The same, of one kind of terms at a time: (terms + 1, donors x kinds).
    """

    formula: Formula
    names: tuple[str, ...]
    spread: FloatArray
    donors: FloatArray
    deviations: FloatArray

    @classmethod
    def of(cls, donors: Mapping[str, Predictor], population: Sequence[Arch]) -> Basis:
        """Return the basis of these regressions of one image size; the population is what will be predicted.

        Raises FoxnasError when they are not of one formula, or one says the same of every subnet.
        """
        first, *others = donors.values()
        for name, other in donors.items():
            if other.formula != first.formula or other.image_size != first.image_size:
                raise FoxnasError(
                    f"the latency regressions of {', '.join(donors)} are not of one form and size: {name}"
                )
        formula = first.formula
        coefficients = np.array([[one.intercept, *one.coefficients] for one in (first, *others)]).T
        spread = (formula.matrix(population) @ coefficients[1:]).std(axis=0)
        if (flat := np.flatnonzero(spread <= 1e-12 * np.abs(coefficients).max(axis=0))).size:
            raise FoxnasError(
                f"the latency regression of {list(donors)[flat[0]]} says the same of every subnet, and is of no use "
                "to a mix; take it out of the device's like"
            )
        scaled = coefficients / spread
        kinds = np.array([None, *(name.rpartition("_")[0] for name in formula.terms)])
        parts = [scaled * (kinds == kind)[:, None] for kind in dict.fromkeys(kinds[1:])]
        return cls(formula, tuple(donors), spread, scaled, np.hstack(parts) / np.sqrt(len(donors)))

    def design(self, archs: Sequence[Arch]) -> FloatArray:
        """Return the terms of subnets, with the column of ones: (subnets, terms + 1)."""
        return np.column_stack([np.ones(len(archs)), self.formula.matrix(archs)])

    def most_telling_first(self, archs: Sequence[Arch]) -> list[int]:
        """Return the order in which to time subnets, such that the first few tell most about all of them.

        Each is the one that reduces the mean variance of all predictions most (greedy I-optimal design), for a latency
        that is a mix of these donors; no latency is needed for that.
        """
        x = self.design(archs)
        mixed = x @ np.hstack([self.donors / np.sqrt(len(self.names)), _DEVIATION * self.deviations])
        features = np.column_stack([np.ones(len(x)), mixed - mixed.mean(axis=0)]) / _NOISE
        covariance = features @ features.T
        order: list[int] = []
        for _ in archs:
            gain = (covariance**2).sum(axis=0) / (1 + np.diag(covariance))
            gain[order] = -np.inf
            best = int(np.argmax(gain))
            order.append(best)
            covariance -= np.outer(covariance[:, best], covariance[best]) / (1 + covariance[best, best])
        return order


@dataclass(frozen=True, eq=False)
class Mix:
    """A fitted mix.

    Attributes
    ----------
    weights
        Of the donors' predictions, as they are: (donors,).
    penalty
        On deviations; one of `PENALTIES`.
    coefficients
        Of the formula, the intercept first: (terms + 1,).
    unscaled_covariance
        Times the residual variance: the coefficients' covariance (terms + 1, terms + 1). Donors that have no weight
        are taken for known to have none.
    residual, leverage
        Of the probes: (probes,).
    degrees_of_freedom
        Probes less effective parameters.
    scale
        Residual standard error, in ms; infinite where too few probes leave less than one degree of freedom.
    """

    weights: FloatArray
    penalty: float
    coefficients: FloatArray
    unscaled_covariance: FloatArray
    residual: FloatArray
    leverage: FloatArray

    @property
    def degrees_of_freedom(self) -> float:
        return float(len(self.leverage) - self.leverage.sum())

    @property
    def scale(self) -> float:
        freedom = self.degrees_of_freedom
        return float(np.sqrt(np.sum(self.residual**2) / freedom)) if freedom >= 1 else np.inf

    def expected_error_percent(self, design: FloatArray) -> float:
        """Return within how many percent of their predictions 95% of these subnets' latencies are expected.

        By each one's own prediction interval: Student's t with its leverage. `design` is `Basis.design` of them.
        Infinite where it is not known, or where subnets are predicted to take no time.
        """
        predicted = design @ self.coefficients
        if not np.isfinite(self.scale) or predicted.min() <= 0:
            return np.inf
        variance = 1 + np.einsum("ij,jk,ik->i", design, self.unscaled_covariance, design)
        error = self.scale * np.sqrt(variance) / predicted
        if error.max() <= 1e-12:
            return 0.0

        def beyond(share: float) -> float:
            return float(np.mean(2 * special.stdtr(self.degrees_of_freedom, -share / error))) - 0.05

        most = float(special.stdtrit(self.degrees_of_freedom, 0.975) * error.max())
        return 100 * float(optimize.brentq(beyond, 0.0, 1.001 * most))


def fit_mix(basis: Basis, design: FloatArray, y: FloatArray) -> Mix:
    """Return the mix that fits these probes best, with the penalty that leave-one-out likes best.

    Non-negative least squares (Lawson and Hanson, *Solving Least Squares Problems*, 1974) under the covariance that the
    deviations give to the probes.
    """
    mixes = [_with_penalty(basis, design, y, penalty) for penalty in PENALTIES]
    # With a leverage of 1 a probe is met whatever it is; then nothing is known of its error.
    return min(mixes, key=lambda mix: float(np.sum((mix.residual / np.maximum(1 - mix.leverage, 1e-9)) ** 2)))


def _with_penalty(basis: Basis, design: FloatArray, y: FloatArray, penalty: float) -> Mix:
    donors, deviations = design @ basis.donors, design @ basis.deviations
    covariance = np.eye(len(y)) + deviations @ deviations.T / penalty
    half = linalg.cholesky(covariance, lower=True)
    ones, whitened, target = (
        linalg.solve_triangular(half, values, lower=True) for values in (np.ones((len(y), 1)), donors, y)
    )
    # The intercept has either sign.
    found = optimize.nnls(np.hstack([ones, -ones, whitened]), target, maxiter=100 * (2 + len(basis.names)))[0][2:]
    active = np.flatnonzero(found)
    fixed = np.hstack([ones, whitened[:, active]])
    residual_maker = np.eye(len(y)) - fixed @ np.linalg.pinv(fixed)
    inverse = linalg.solve_triangular(half, np.eye(len(y)), lower=True)
    # y - fitted = P y; 1 - P's diagonal is the leverage.
    left = inverse.T @ residual_maker @ inverse
    intercept = np.zeros((len(basis.donors), 1))
    intercept[0] = 1
    parts = np.hstack([intercept, basis.donors[:, active], basis.deviations])
    seen = design @ parts
    prior = np.r_[np.zeros(1 + len(active)), np.full(basis.deviations.shape[1], penalty)]
    unscaled = np.linalg.pinv(seen.T @ seen + np.diag(prior), hermitian=True)
    weights = np.zeros(len(basis.names))
    weights[active] = found[active]
    return Mix(
        weights=weights / basis.spread,
        penalty=penalty,
        coefficients=parts @ (unscaled @ (seen.T @ y)),
        unscaled_covariance=parts @ unscaled @ parts.T,
        residual=left @ y,
        leverage=1 - np.diag(left),
    )
