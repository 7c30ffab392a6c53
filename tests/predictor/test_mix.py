"""Mixes of regressions against closed forms, a second implementation, brute force, and made-up devices."""

from __future__ import annotations

import dataclasses
from itertools import islice

import numpy as np
import pytest
from scipy import linalg, optimize, special

from foxnas.errors import FoxnasError
from foxnas.predictor.likeness import Likening, held_out_error_percent
from foxnas.predictor.mix import PENALTIES, Basis, fit_mix
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.strategies import exact
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula
from tests.support.published import CPU_SPACE
from tests.support.small_problem import SMALL, everything

SPACE = dataclasses.replace(CPU_SPACE, name="few", image_sizes=(64,), units=CPU_SPACE.units[:3])
ARCHS = list(islice(SPACE.sample(64, np.random.default_rng(0)), 160))
POOL, UNSEEN = ARCHS[:100], ARCHS[100:]


def a_device(seed: int, space: SearchSpace = SPACE, form: str = "layers", size: int = 64) -> Predictor:
    """A device whose latency rises with every knob, at rates of its own: 20 ms at least."""
    terms, rng = formula(form, space), np.random.default_rng(seed)
    return Predictor.published("latency", "ms", size, terms, 20.0, rng.uniform(0.05, 1.0, len(terms.terms)))


DONORS = {f"donor-{seed}": a_device(seed) for seed in (1, 2, 3, 4)}
BASIS = Basis.of(DONORS, POOL)


def mixed_ms(archs: list[Arch], weights: dict[str, float], intercept: float = 0.0) -> np.ndarray:
    """What a device takes that is exactly a mix."""
    return intercept + sum((w * DONORS[name].predict(archs).mean for name, w in weights.items()), np.zeros(len(archs)))


def test_a_device_that_is_exactly_a_mix_is_known_from_few_probes() -> None:
    weights = {"donor-1": 0.5, "donor-3": 0.25}
    probes = [POOL[place] for place in BASIS.most_telling_first(POOL)[:8]]
    mix = fit_mix(BASIS, BASIS.design(probes), mixed_ms(probes, weights, -3.0))
    np.testing.assert_allclose(BASIS.design(UNSEEN) @ mix.coefficients, mixed_ms(UNSEEN, weights, -3.0), rtol=1e-9)
    np.testing.assert_allclose(mix.weights, [weights.get(name, 0) for name in BASIS.names], atol=1e-9)
    assert mix.expected_error_percent(BASIS.design(UNSEEN)) < 1e-6


@pytest.mark.parametrize("penalty", PENALTIES[::3])
def test_weights_and_deviations_are_those_of_bounded_least_squares(
    penalty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against scipy's `lsq_linear`, which is given the penalty as rows and does not eliminate the deviations."""
    monkeypatch.setattr("foxnas.predictor.mix.PENALTIES", (penalty,))
    probes = POOL[:30]
    y = a_device(9).predict(probes).mean
    x = BASIS.design(probes)
    mix = fit_mix(BASIS, x, y)
    parts = [np.ones((30, 1)), x @ BASIS.donors, x @ BASIS.deviations]
    deviations = BASIS.deviations.shape[1]
    rows = np.hstack([np.zeros((deviations, 1 + len(DONORS))), np.sqrt(penalty) * np.eye(deviations)])
    least = np.r_[-np.inf, np.zeros(len(DONORS)), np.full(deviations, -np.inf)]
    found = optimize.lsq_linear(
        np.vstack([np.hstack(parts), rows]), np.r_[y, np.zeros(deviations)], (least, np.inf), "bvls", 1e-14
    ).x
    np.testing.assert_allclose(mix.weights * BASIS.spread, found[1 : 1 + len(DONORS)], atol=1e-6)
    np.testing.assert_allclose(y - mix.residual, np.hstack(parts) @ found, rtol=1e-8)
    np.testing.assert_allclose(x @ mix.coefficients, y - mix.residual, rtol=1e-8)


def test_leverage_is_what_a_row_does_to_its_own_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its definition, while the same donors have a weight: the change of the fitted value with the measured one."""
    monkeypatch.setattr("foxnas.predictor.mix.PENALTIES", (3.0,))
    probes = POOL[:15]
    x, y = BASIS.design(probes), mixed_ms(probes, {"donor-1": 0.5, "donor-2": 0.5}) + np.linspace(-0.2, 0.2, 15)
    mix, step = fit_mix(BASIS, x, y), 1e-4 * np.eye(15)
    moved = [fit_mix(BASIS, x, y + step[row]) for row in range(15)]
    assert all(np.array_equal(one.weights > 0, mix.weights > 0) for one in moved)
    changes = [(step[row] - one.residual + mix.residual)[row] / 1e-4 for row, one in enumerate(moved)]
    np.testing.assert_allclose(mix.leverage, changes, atol=1e-6)
    covariance = np.einsum("ij,jk,ik->i", x, mix.unscaled_covariance, x)
    np.testing.assert_allclose(covariance, mix.leverage, atol=1e-9)


def test_intervals_and_expected_errors_hold_for_devices_that_nearly_are_mixes() -> None:
    """200 made-up devices, each from 15 probes: a mix, deviations by kind of term, and 2% of noise."""
    rng, design, unseen = np.random.default_rng(5), BASIS.design(POOL), BASIS.design(UNSEEN)
    chosen = BASIS.most_telling_first(POOL)[:15]
    inside, within = [], []
    for _ in range(200):
        weights = rng.dirichlet([0.7] * 4) / BASIS.spread
        truth = BASIS.donors @ (weights * BASIS.spread) * 3 + BASIS.deviations @ rng.normal(
            0, 0.1, BASIS.deviations.shape[1]
        )
        truth[0] = 20
        y, after = (x @ truth * rng.normal(1, 0.02, len(x)) for x in (design[chosen], unseen))
        mix = fit_mix(BASIS, design[chosen], y)
        predicted = unseen @ mix.coefficients
        leverage = np.einsum("ij,jk,ik->i", unseen, mix.unscaled_covariance, unseen)
        half = special.stdtrit(mix.degrees_of_freedom, 0.975) * mix.scale * np.sqrt(1 + leverage)
        inside.append(np.mean(np.abs(after - predicted) <= half))
        within.append(np.mean(np.abs(after / predicted - 1) <= mix.expected_error_percent(unseen) / 100))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.mean(within) == pytest.approx(0.95, abs=0.03)


def test_the_first_probes_are_those_that_leave_least_variance() -> None:
    """The first by trying each; ten of them against a hundred random draws of ten; a longer list goes on."""
    few = POOL[:12]
    basis = Basis.of(DONORS, few)
    x = basis.design(few)
    parts = np.hstack([basis.donors / 2, basis.deviations / 3])
    features = np.column_stack([np.ones(12), x @ parts - (x @ parts).mean(axis=0)]) / 0.3

    def variance(rows: list[int]) -> float:
        inverse = linalg.inv(np.eye(features.shape[1]) + features[rows].T @ features[rows])
        return float(np.mean(np.einsum("ij,jk,ik->i", features, inverse, features)))

    order = basis.most_telling_first(few)
    assert sorted(order) == list(range(12))
    assert order[0] == min(range(12), key=lambda row: variance([row]))
    assert order[1] == min(set(range(12)) - {order[0]}, key=lambda row: variance([order[0], row]))
    rng = np.random.default_rng(0)
    assert variance(order[:5]) < min(variance(list(rng.permutation(12)[:5])) for _ in range(100))


def test_the_frontier_of_a_mix_is_that_of_brute_force() -> None:
    """With weights, deviations and all: a mix is a sum over units."""
    size, rng = SMALL.image_sizes[0], np.random.default_rng(3)
    archs = [arch for arch in everything() if arch.image_size == size]
    some = [archs[place] for place in rng.permutation(len(archs))[:60]]
    donors = {f"donor-{seed}": a_device(seed, SMALL, "latency", size) for seed in (1, 2, 3)}
    y = a_device(8, SMALL, "latency", size).predict(some[:20]).mean * rng.normal(1, 0.02, 20)
    fitted = Likening(donors, some).fit(SMALL, size, some[:20], y, target="latency", unit="ms", folds=5, seed=0)
    terms = formula("accuracy", SMALL)
    accuracy = Predictor.published("top-1", "%", size, terms, 60.0, rng.normal(0, 0.3, len(terms.terms)))
    space = dataclasses.replace(SMALL, image_sizes=(size,))
    found = exact.frontier(Landscape(space, {size: accuracy}, {size: fitted})).candidates
    of_all = zip(fitted.predict(archs).mean, accuracy.predict(archs).mean, strict=True)
    best, front = -np.inf, []
    for latency, top1 in sorted(of_all, key=lambda one: (one[0], -one[1])):
        if top1 > best + 1e-9:
            best = top1
            front.append((latency, top1))
    np.testing.assert_allclose([(c.latency_ms, c.accuracy) for c in found], front, rtol=1e-9)


def test_a_predictor_of_a_mix_survives_its_file_and_says_what_it_was_fitted_to() -> None:
    probes = [POOL[place] for place in BASIS.most_telling_first(POOL)[:12]]
    y = mixed_ms(probes, {"donor-1": 0.3, "donor-4": 0.6}) * np.random.default_rng(2).normal(1, 0.01, 12)
    likening = Likening(DONORS, POOL)
    fitted = likening.fit(SPACE, 64, probes, y, target="latency", unit="ms", folds=10, seed=0)
    again = Predictor.from_json(fitted.to_json())
    assert again == fitted
    mix = fit_mix(BASIS, BASIS.design(probes), y)
    np.testing.assert_allclose(again.predict(UNSEEN).mean, BASIS.design(UNSEEN) @ mix.coefficients)
    assert fitted.uncertainty
    assert fitted.rows
    assert fitted.uncertainty.residual_standard_error == pytest.approx(mix.scale)
    said = likening.record(probes, y)
    assert said["weights"]["donor-1"] == pytest.approx(0.3, abs=0.1)
    assert said["weights"]["donor-4"] == pytest.approx(0.6, abs=0.1)
    assert 1 < said["error_percent"] < 6
    off = [abs(m / h - 1) for m, h in zip(fitted.rows.measured, fitted.rows.held_out, strict=True)]
    assert held_out_error_percent(fitted) == pytest.approx(100 * np.quantile(off, 0.95))


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(FoxnasError, match="are not of one form and size"):
        Basis.of({"one": DONORS["donor-1"], "other": a_device(1, form="latency")}, POOL)
    terms = DONORS["donor-1"].formula
    flat = Predictor.published("latency", "ms", 64, terms, 5.0, [0.0] * len(terms.terms))
    with pytest.raises(FoxnasError, match="regression of flat says the same of every subnet"):
        Basis.of({**DONORS, "flat": flat}, POOL)
    every = mixed_ms(POOL[:5], dict.fromkeys(DONORS, 0.25))
    for count, said in ((3, "3 subnets are too few to say how donor-1"), (5, "5 subnets leave nothing to judge")):
        with pytest.raises(FoxnasError, match=said):
            Likening(DONORS, POOL).fit(
                SPACE, 64, POOL[:count], every[:count], target="latency", unit="ms", folds=5, seed=0
            )
