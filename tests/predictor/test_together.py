"""Image sizes fitted together: against scikit-learn, against fits apart, and on subnets that no fit has seen."""

from itertools import islice

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from foxnas.errors import FoxnasError
from foxnas.predictor import partial_pooling
from foxnas.predictor.contrast import contrast
from foxnas.predictor.fit import fit
from foxnas.predictor.link import IDENTITY, Link
from foxnas.predictor.model import Predictor
from foxnas.predictor.partial_pooling import PartialPooling
from foxnas.predictor.together import fit_together
from foxnas.space.terms import formula
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY

SIZES = (160, 192, 224, 256)
TERMS = formula("accuracy", CPU_SPACE)
TRUTH = Link(80.0)
NOISE = 0.02


def sample(size, rows, seed):
    return list(islice(CPU_SPACE.sample(size, np.random.default_rng([seed, size])), rows))


def sums_of(archs):
    """The published sums; every effect grows with the size, by a tenth from one to the next."""
    size = archs[0].image_size
    sums = TERMS.matrix(archs) @ np.array(PUBLISHED_ACCURACY.coefficients)
    return 0.22 * (1 + 0.1 * SIZES.index(size)) * (sums - 8) - 1.5


def measure(archs, noise=NOISE):
    return sums_of(archs) + np.random.default_rng([3, len(archs)]).normal(0, noise, len(archs))


@pytest.fixture(scope="module")
def rows():
    return {size: sample(size, 50, 1) for size in SIZES}


@pytest.fixture(scope="module")
def measured(rows):
    return {size: (archs, measure(archs)) for size, archs in rows.items()}


@pytest.fixture(scope="module")
def together(measured):
    return fit_together("accuracy", CPU_SPACE, measured, target="z", unit="")


@pytest.fixture(scope="module")
def unseen():
    return {size: sample(size, 300, 2) for size in SIZES}


@pytest.fixture(scope="module")
def by_hand(measured):
    """The ridge regression on terms times polynomials in the size, with free intercepts: (x, y, centres, polynomials).

    Columns come part by part: a penalty on a part is a factor of its columns.
    """
    designs = [TERMS.matrix(archs) for archs, _ in measured.values()]
    centred = np.concatenate([design - design.mean(axis=0) for design in designs])
    polynomials = np.linalg.qr(np.vander(np.array(SIZES) - 208.0, increasing=True))[0]
    at = np.repeat(np.arange(len(SIZES)), [len(design) for design in designs])
    z = centred / np.sqrt(np.mean(centred**2, axis=0))
    x = np.stack([polynomials[at, part, None] * z for part in range(len(SIZES))])
    y = np.concatenate([values - values.mean() for _, values in measured.values()])
    return x, y, at


def test_it_is_ridge_regression_on_terms_times_polynomials_in_the_size(together, measured, by_hand):
    x, y, _ = by_hand
    penalties = together[160].pooling.penalties
    scaled = np.concatenate([part / np.sqrt(p) for part, p in zip(x, penalties, strict=True)], axis=1)
    model = Ridge(1.0, fit_intercept=False, solver="svd").fit(scaled, y)
    fitted = np.concatenate([np.array(one.rows.fitted) - one.rows.measured for one in together.values()])
    np.testing.assert_allclose(fitted, model.predict(scaled) - y, atol=1e-7)


def test_penalties_have_the_smallest_leave_one_out_error_next_to_them(measured, by_hand, together):
    """A second implementation of the error: the hat matrix of all rows, its diagonal with each size's own mean."""
    x, y, at = by_hand

    def error(penalties):
        scaled = np.concatenate([part / np.sqrt(p) for part, p in zip(x, penalties, strict=True)], axis=1)
        hat = scaled @ np.linalg.solve(scaled.T @ scaled + np.eye(scaled.shape[1]), scaled.T)
        diagonal = np.diag(hat) + 1 / np.bincount(at)[at]
        return np.sum(((y - hat @ y) / (1 - diagonal)) ** 2)

    chosen, ratio = together[160].pooling.penalties, partial_pooling.PENALTIES[1] / partial_pooling.PENALTIES[0]
    designs = [TERMS.matrix(archs) for archs, _ in measured.values()]
    pooling = PartialPooling.of(SIZES, designs)
    found = pooling.error(pooling.shared(chosen), IDENTITY, [values for _, values in measured.values()])
    assert found == pytest.approx(error(chosen), rel=1e-6)
    total = sum(np.sum((np.array(one.rows.measured) - np.mean(one.rows.measured)) ** 2) * (1 - one.quality.r2_press)
                for one in together.values())  # fmt: skip
    assert total == pytest.approx(found)
    for axis in (1, 2, 3):
        for step in (1 / ratio, ratio):
            other = [p * (step if i == axis else 1) for i, p in enumerate(chosen)]
            if partial_pooling.PENALTIES[0] * 0.99 < other[axis] < partial_pooling.PENALTIES[-1] * 1.01:
                assert error(other) >= found


def test_folds_are_refits_and_those_of_a_fit_apart(measured, together):
    penalties, designs = together[160].pooling.penalties, {s: TERMS.matrix(archs) for s, (archs, _) in measured.items()}
    part = np.array_split(np.random.default_rng(0).permutation(50), 10)[3]
    rest = np.setdiff1d(np.arange(50), part)
    left = {size: (design[rest], measured[size][1][rest]) for size, design in designs.items()}
    centred = np.concatenate([x - x.mean(axis=0) for x, _ in left.values()])
    spread = np.sqrt(np.mean(centred**2, axis=0))
    polynomials = np.linalg.qr(np.vander(np.array(SIZES) - 208.0, increasing=True))[0] / np.sqrt(penalties)
    x = np.concatenate(
        [np.kron(polynomials[i], (d - d.mean(axis=0)) / spread) for i, (d, _) in enumerate(left.values())]
    )
    y = np.concatenate([values - values.mean() for _, values in left.values()])
    model = Ridge(1.0, fit_intercept=False, solver="svd").fit(x, y)
    apart = fit("accuracy", CPU_SPACE, 160, *measured[160], target="z", unit="")
    for at, (size, (d, values)) in enumerate(left.items()):
        wanted = values.mean() + model.predict(
            np.kron(polynomials[at], (designs[size][part] - d.mean(axis=0)) / spread)
        )
        np.testing.assert_allclose(np.array(together[size].rows.held_out)[part], wanted, atol=1e-7)
    alone = LinearRegression().fit(left[160][0], left[160][1]).predict(designs[160][part])
    np.testing.assert_allclose(np.array(apart.rows.held_out)[part], alone)


def test_together_few_subnets_predict_as_many_do_apart(together, measured, unseen):
    """A size's own 50 rows hardly determine 40 terms; apart, 100 of each are worse."""
    more = {size: sample(size, 100, 4) for size in SIZES}
    error = {"together": [], "apart": [], "apart, 100": []}
    for size, archs in unseen.items():
        apart, many = (
            fit("accuracy", CPU_SPACE, size, some, measure(some), target="z", unit="")
            for some in (measured[size][0], more[size])
        )
        for name, predictor in zip(error, (together[size], apart, many), strict=True):
            error[name].append(np.mean((predictor.predict(archs).mean - sums_of(archs)) ** 2))
    root = {name: np.sqrt(np.mean(values)) for name, values in error.items()}
    assert root["together"] < root["apart, 100"]
    assert root["together"] < 0.6 * root["apart"]
    assert together[160].quality.effective_parameters < 30


def test_nothing_in_common_is_fitted_as_apart(rows, unseen):
    """Other signs at every size, hardly any noise: what the sizes share is nothing, and each keeps its own."""
    signs = np.random.default_rng(5).choice([-1, 1], size=(4, len(TERMS.terms)))
    coefficients = np.array(PUBLISHED_ACCURACY.coefficients) * signs
    measured = {
        size: (archs, TERMS.matrix(archs) @ own + np.random.default_rng(6).normal(0, 1e-3, len(archs)))
        for own, (size, archs) in zip(coefficients, rows.items(), strict=True)
    }
    found = fit_together("accuracy", CPU_SPACE, measured, target="z", unit="")
    assert found[160].pooling.penalties[1:] == (partial_pooling.PENALTIES[0],) * 3
    for own, (size, archs) in zip(coefficients, unseen.items(), strict=True):
        truth = TERMS.matrix(archs) @ own
        assert np.mean((found[size].predict(archs).mean - truth) ** 2) < 2e-3 * truth.var()


def test_prediction_intervals_hold_on_unseen_subnets(together, measured, unseen):
    held = []
    for size, archs in unseen.items():
        said, y = together[size].predict(archs), measure(archs)
        held.append(np.mean((said.lower <= y) & (y <= said.upper)))
    assert 0.92 < np.mean(held) < 0.98
    for size, one in together.items():
        np.testing.assert_allclose(one.predict(measured[size][0]).leverage, one.rows.leverage, rtol=1e-6)


def test_confidence_intervals_and_contrasts_hold(unseen):
    """Of repeated samples: the truth is in 95% intervals of means, of moves within a size and of moves between two."""
    base, other = unseen[160][0], unseen[160][1]
    near, far = (next(a for a in CPU_SPACE.neighbours(base) if a.image_size == size) for size in (160, 192))
    opposite = unseen[256][7]
    truth = {arch: sums_of([arch])[0] for arch in (base, other, near, far, opposite)}
    held = {"mean": [], "within": [], "between": []}
    for seed in range(40):
        drawn = {size: sample(size, 40, 100 + seed) for size in SIZES}
        noise = np.random.default_rng(seed)
        rows = {size: (archs, sums_of(archs) + noise.normal(0, NOISE, 40)) for size, archs in drawn.items()}
        fitted = fit_together("accuracy", CPU_SPACE, rows, target="z", unit="", folds=2)
        for arch in truth:
            said = fitted[arch.image_size].predict([arch])
            held["mean"].append(said.mean_lower[0] <= truth[arch] <= said.mean_upper[0])
        for kind, changed in (("within", other), ("within", near), ("between", far), ("between", opposite)):
            found = contrast(fitted[160], base, fitted[changed.image_size], changed)
            held[kind].append(found.lower <= truth[changed] - truth[base] <= found.upper)
    for kind, counts in held.items():
        assert np.mean(counts) > 0.92, kind


def test_an_asymptote_of_all_sizes_is_found(rows, unseen):
    """Closed form: without noise to speak of, the asymptote and the saturating values of unseen subnets."""
    measured = {size: (archs, TRUTH.inverse(measure(archs, 1e-4))) for size, archs in rows.items()}
    found = fit_together("accuracy", CPU_SPACE, measured, target="top1", unit="percent", link="log-complement")
    for size, archs in unseen.items():
        assert found[size].link.asymptote == pytest.approx(80, abs=0.05)
        np.testing.assert_allclose(found[size].predict(archs).mean, TRUTH.inverse(sums_of(archs)), atol=0.1)
    plain = fit_together("accuracy", CPU_SPACE, measured, target="top1", unit="percent")
    assert all(found[size].quality.rmse_cv < 0.5 * plain[size].quality.rmse_cv for size in SIZES)
    assert Predictor.from_json(found[160].to_json()) == found[160]


def test_what_the_rows_do_not_determine_is_refused(measured):
    few = {size: (archs[:19], y[:19]) for size, (archs, y) in measured.items()}
    with pytest.raises(FoxnasError, match="z at 160 px: 19 subnets are too few to choose a penalty by"):
        fit_together("accuracy", CPU_SPACE, few, target="z", unit="", shrink=True)
    two = {size: (archs[:22], y[:22]) for size, (archs, y) in list(measured.items())[:2]}
    with pytest.raises(FoxnasError, match=r"44 subnets of all image sizes are too few .*measure at least 64"):
        fit_together("accuracy-quadratic", CPU_SPACE, two, target="z", unit="")
    shrunk = fit_together("accuracy-quadratic", CPU_SPACE, two, target="z", unit="", shrink=True)
    assert all(np.isfinite(one.quality.rmse_cv) for one in shrunk.values())
