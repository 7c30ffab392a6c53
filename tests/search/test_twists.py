"""Single-parameter moves: contrasts against statsmodels, Holm's adjustment, what is worth a measurement."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from foxnas.errors import FoxnasError
from foxnas.predictor.contrast import Contrast, contrast
from foxnas.predictor.fit import fit
from foxnas.predictor.model import Predictor
from foxnas.search.twists import Move, single_moves, worth_trying
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula

ROWS = 150


def sampled(space: SearchSpace, size: int) -> list[Arch]:
    sample = space.sample(size, np.random.default_rng(size))
    return [next(sample) for _ in range(ROWS)]


def measured(archs: list[Arch], weight: float, noise: float) -> np.ndarray:
    """A made-up truth: every layer counts for K and E, and the first one for more."""
    rng = np.random.default_rng(3)
    truth = [sum(weight * (k + e) * (2 if i == 0 else 1) for u in a.units for i, (k, e) in enumerate(u)) for a in archs]
    return np.array(truth) + rng.normal(0, noise, len(archs))


def fitted(space: SearchSpace, size: int, target: str, noise: float) -> Predictor:
    archs = sampled(space, size)
    values = measured(archs, 0.01 if target == "latency" else 0.1, noise)
    unit = "ms" if target == "latency" else "percent"
    return fit(target, space, size, archs, values, target=target, unit=unit, folds=5, seed=0)


def test_a_contrast_is_statsmodels_t_test_of_the_difference(mini: SearchSpace) -> None:
    size = mini.image_sizes[0]
    predictor = fitted(mini, size, "accuracy", 0.3)
    archs = sampled(mini, size)
    terms = formula("accuracy", mini)
    result = sm.OLS(measured(archs, 0.1, 0.3), sm.add_constant(terms.matrix(archs))).fit()
    for base, other in zip(archs[:10], archs[10:20], strict=True):
        row = np.r_[0.0, terms.matrix([other])[0] - terms.matrix([base])[0]]
        reference = result.t_test(row)
        found = contrast(predictor, base, predictor, other)
        lower, upper = reference.conf_int()[0]
        np.testing.assert_allclose(
            [found.value, found.standard_error, found.p, found.lower, found.upper],
            [reference.effect[0], reference.sd[0, 0], float(reference.pvalue), lower, upper],
            rtol=1e-6, atol=1e-9,
        )  # fmt: skip


def test_between_image_sizes_the_variances_add(mini: SearchSpace) -> None:
    small, large = mini.image_sizes[:2]
    one, other = fitted(mini, small, "accuracy", 0.3), fitted(mini, large, "accuracy", 0.6)
    base = sampled(mini, small)[0]
    changed = Arch(large, base.units)
    found = contrast(one, base, other, changed)
    errors = [p.predict([a]).standard_error[0] for p, a in ((one, base), (other, changed))]
    assert found.standard_error == pytest.approx(np.hypot(*errors))
    assert found.value == pytest.approx(other.predict([changed]).mean[0] - one.predict([base]).mean[0])


def test_published_coefficients_have_no_contrast(mini: SearchSpace) -> None:
    size = mini.image_sizes[0]
    bare = Predictor.published("top1", "percent", size, formula("accuracy", mini), 0.0, [0.0] * 40)
    with pytest.raises(FoxnasError, match="no covariance"):
        contrast(bare, mini.smallest(size), bare, mini.largest(size))


def test_every_move_changes_one_knob_and_is_listed_once(mini: SearchSpace) -> None:
    sizes = mini.image_sizes[:2]
    accuracy = {size: fitted(mini, size, "accuracy", 0.3) for size in sizes}
    latency = {size: fitted(mini, size, "latency", 0.01) for size in sizes}
    base = mini.parse(f"r{sizes[0]}_k3e2.k5e4.k5e4_k3e2.k3e2_k3e6.k7e3.k3e2.k5e2_k7e6.k3e2_k5e3.k3e6")
    moves = single_moves(mini, base, accuracy, latency)
    reachable = {a for a in mini.neighbours(base) if a.image_size in sizes}
    assert {move.arch for move in moves} <= reachable
    # Layers 2 and 3 of the first unit are alike: changing either is one move, not two.
    assert [m.text for m in moves].count("K of a later layer of unit 1 5 -> 7") == 1
    assert sum(m.text.startswith("image size") for m in moves) == 1
    assert {m.text for m in moves if "depth" in m.text} == {
        "depth of unit 1 3 -> 2", "depth of unit 1 3 -> 4", "depth of unit 2 2 -> 3", "depth of unit 3 4 -> 3",
        "depth of unit 4 2 -> 3", "depth of unit 5 2 -> 3",
    }  # fmt: skip
    for move in moves:
        predicted = accuracy[move.arch.image_size].predict([move.arch]).mean[0]
        assert predicted - accuracy[sizes[0]].predict([base]).mean[0] == pytest.approx(move.accuracy.value)
        assert move.accuracy_p_holm >= move.accuracy.p
    # Holm's step-down, from its definition: the i-th smallest of m is multiplied by m - i + 1, and never falls.
    p = np.sort([m.accuracy.p for m in moves])
    expected = np.minimum(np.maximum.accumulate(p * (len(p) - np.arange(len(p)))), 1)
    np.testing.assert_allclose(np.sort([m.accuracy_p_holm for m in moves]), expected)


def move(text: str, gain: float, latency_ms: float, half_ms: float = 0.0) -> Move:
    arch = Arch(16, (((3, 2), (3, 2)),))
    effects = (
        Contrast(gain, gain, gain, 0.1, 0.5),
        Contrast(latency_ms, latency_ms - half_ms, latency_ms + half_ms, 0.1, 0.5),
    )
    return Move(text, arch, *effects, 1.0, 1.0)


def test_slack_is_spent_on_gains_and_a_miss_is_mended_at_the_least_loss() -> None:
    moves = [move("dear", 0.9, 0.3), move("good", 0.5, 0.1), move("unsure", 0.6, 0.1, 0.2), move("fast", -0.1, -0.2),
             move("faster", -0.5, -0.3)]  # fmt: skip
    assert [m.text for m in worth_trying(moves, 0.15, 2)] == ["good"]
    assert [m.text for m in worth_trying(moves, 0.35, 2)] == ["dear", "unsure"]
    assert worth_trying(moves, 0.05, 2) == []
    assert [m.text for m in worth_trying(moves, -0.1, 2)] == ["fast", "faster"]
    assert [m.text for m in worth_trying(moves, -0.25, 2)] == ["faster"]
