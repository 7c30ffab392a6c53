"""Links: the log-complement against closed forms, refits without a row, and accuracies that saturate."""

from itertools import islice

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from foxnas.errors import FoxnasError
from foxnas.predictor import asymptote
from foxnas.predictor.contrast import contrast
from foxnas.predictor.fit import fit
from foxnas.predictor.link import IDENTITY, Link
from foxnas.predictor.linking import choose_link, fit_key, fit_links
from foxnas.predictor.model import Predictor
from foxnas.space.terms import formula
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY

#: The published sums, bent so that they saturate: about 10 points to 3 are left to the asymptote.
TRUTH = Link(80.0)


def saturating(archs):
    sums = PUBLISHED_ACCURACY.predict(archs).mean
    return TRUTH.inverse(-1.5 + 0.22 * (sums - 73.5))


def measure(archs, noise=0.03, seed=3):
    """Noise is that of the sums, as on the demo's rows: it falls towards the asymptote."""
    return TRUTH.inverse(TRUTH.forward(saturating(archs)) + np.random.default_rng(seed).normal(0, noise, len(archs)))


def fit_link(archs, y, link, base="accuracy", shrink=False):
    return fit(base, CPU_SPACE, 192, archs, y, target="top1", unit="percent", link=link, shrink=shrink)


@pytest.fixture(scope="module")
def many():
    return list(islice(CPU_SPACE.sample(192, np.random.default_rng(11)), 300))


@pytest.fixture(scope="module")
def best(many):
    """The subnets of another sample that the truth likes best: what a search proposes."""
    others = list(islice(CPU_SPACE.sample(192, np.random.default_rng(12)), 4000))
    return [others[i] for i in np.argsort(-saturating(others))[:60]]


def test_link_is_its_own_inverse_and_rises_by_its_slope():
    y = np.linspace(50, 79.9, 40)
    z = TRUTH.forward(y)
    np.testing.assert_allclose(TRUTH.inverse(z), y)
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(TRUTH.slope(y), (TRUTH.inverse(z + 1e-6) - TRUTH.inverse(z - 1e-6)) / 2e-6, rtol=1e-6)
    assert TRUTH.change(70.0, 0.3) == pytest.approx(TRUTH.inverse(TRUTH.forward(70.0) + 0.3) - 70.0)
    assert TRUTH.forward(80.0) == TRUTH.forward(81.0) == np.inf
    for values in (y, z):
        assert IDENTITY.forward(values) is values is IDENTITY.inverse(values)
    assert IDENTITY.change(70.0, 0.3) == 0.3


def test_a_saturating_sum_is_recovered(many, best):
    """Closed form: without noise the asymptote is found and the fit is exact, also where no row is."""
    found = fit_link(many, saturating(many), "log-complement")
    assert found.link.asymptote == pytest.approx(80, abs=0.02)
    assert found.quality.r2_cv > 0.999999
    np.testing.assert_allclose(found.predict(best).mean, saturating(best), atol=0.01)
    # With the asymptote known, the coefficients are those of the sums.
    known = fit("accuracy", CPU_SPACE, 192, many, TRUTH.forward(saturating(many)), target="z", unit="")
    np.testing.assert_allclose(known.coefficients, 0.22 * np.array(PUBLISHED_ACCURACY.coefficients), atol=1e-9)


def test_what_does_not_saturate_is_fitted_as_by_the_identity(many, best):
    y = PUBLISHED_ACCURACY.predict(many).mean + np.random.default_rng(1).normal(0, 0.25, len(many))
    plain, bent = (fit_link(many, y, link) for link in ("identity", "log-complement"))
    assert bent.quality.rmse_cv == pytest.approx(plain.quality.rmse_cv, rel=0.03)
    assert np.abs(bent.predict(best).mean - plain.predict(best).mean).max() < 0.3


@pytest.mark.parametrize("shrink", [False, True])
def test_held_out_sums_are_those_of_refits(many, shrink):
    """A second implementation: every row's prediction by scikit-learn's fit to the rows without it, or its fold."""
    rows = many[:90]
    design = formula("accuracy", CPU_SPACE).matrix(rows)
    sums = Link(81.0).forward(measure(rows))
    found = sums - asymptote._misses(design, sums, shrink)(sums[:, None])[0, :, 0]
    z = (design - design.mean(axis=0)) / design.std(axis=0)
    if shrink:
        penalty = asymptote.Ridge.of(z).best_penalty(sums)
        parts, model, x = np.array_split(np.random.default_rng(0).permutation(90), 10), Ridge(penalty), z
    else:
        parts, model, x = [[i] for i in range(90)], LinearRegression(), design
    refitted = np.empty(90)
    for part in parts:
        rest = np.setdiff1d(np.arange(90), part)
        refitted[part] = model.fit(x[rest], sums[rest]).predict(x[part])
    np.testing.assert_allclose(found, refitted, rtol=1e-7)


def test_the_asymptote_has_the_smallest_leave_one_out_error(many):
    y = measure(many)
    design = formula("accuracy", CPU_SPACE).matrix(many)
    found = fit_link(many, y, "log-complement")

    def error(c):
        link = Link(c)
        sums = link.forward(y)
        held_out = link.inverse(sums - asymptote._misses(design, y, False)(sums[:, None])[0, :, 0])
        return np.sum((y - held_out) ** 2)

    c, top = found.link.asymptote, y.max()
    assert error(c) <= min(error(top + (c - top) * factor) for factor in (0.25, 0.5, 0.8, 0.97, 1.03, 1.25, 2, 4, 20))
    assert error(c) < 0.9 * error(top + 1e4)
    # PRESS of the file is this very sum, in the accuracy's unit.
    assert found.quality.r2_press == pytest.approx(1 - error(c) / np.sum((y - y.mean()) ** 2))


@pytest.mark.parametrize("shrink", [False, True])
def test_promises_of_the_best_subnets_hold_under_the_link_and_not_under_the_identity(many, best, shrink):
    y, again = measure(many), measure(best, seed=8)
    plain, bent = (fit_link(many, y, link, shrink=shrink) for link in ("identity", "log-complement"))
    assert bent.quality.rmse_cv < 0.9 * plain.quality.rmse_cv
    optimism, held = [], []
    for one in (plain, bent):
        said = one.predict(best)
        optimism.append(np.mean(said.mean - again))
        held.append(np.mean((said.lower <= again) & (again <= said.upper)))
        assert (said.lower < said.mean_lower).all()
        assert (said.mean_upper < said.upper).all()
    assert optimism[0] > 0.3 > 3 * abs(optimism[1])
    assert held[0] < 0.8 < 0.9 <= held[1]


def test_standard_errors_and_contrasts_are_the_delta_methods(many):
    """Against the gradient of the prediction by finite differences, with the covariance of all coefficients."""
    bent = fit_link(many, measure(many), "log-complement")
    base, changed = many[0], next(a for a in CPU_SPACE.neighbours(many[0]) if a.image_size == 192)
    b = np.array([bent.intercept, *bent.coefficients])

    def predict(coefficients):
        moved = Predictor.published("", "", 192, bent.formula, coefficients[0], coefficients[1:])
        return bent.link.inverse(moved.predict([base, changed]).mean)

    steps = 1e-6 * np.eye(len(b))
    gradient = np.array([(predict(b + step) - predict(b - step)) / 2e-6 for step in steps])
    assert bent.uncertainty
    covariance = bent.uncertainty.residual_standard_error**2 * np.array(bent.uncertainty.unscaled_covariance)
    said = bent.predict([base, changed])
    np.testing.assert_allclose(said.standard_error, np.sqrt(np.diag(gradient.T @ covariance @ gradient)), rtol=1e-4)
    found = contrast(bent, base, bent, changed)
    difference = gradient[:, 1] - gradient[:, 0]
    assert found.value == pytest.approx(said.mean[1] - said.mean[0])
    assert found.standard_error == pytest.approx(np.sqrt(difference @ covariance @ difference), rel=1e-4)


def test_auto_takes_the_link_with_the_smaller_held_out_error_and_says_so(many):
    straight = PUBLISHED_ACCURACY.predict(many).mean + np.random.default_rng(2).normal(0, 0.25, len(many))
    for y, expected in ((measure(many), "log-complement"), (straight, None)):
        fitted = fit_links("auto", lambda link, y=y: fit_link(many, y, link))
        errors = {name: one.quality.rmse_cv for name, one in fitted.items()}
        used, record = choose_link("auto", fitted)
        assert used == min(errors, key=errors.get)
        assert used == (expected or used)
        assert record == {"asked": "auto", "used": used, "rmse_cv": errors}
        for asked in errors:
            assert choose_link(asked, fitted)[0] == asked
    assert [fit_key("top1", "paper", name) for name in errors] == ["top1/paper", "top1/paper/log-complement"]


def test_rows_that_allow_no_asymptote_leave_auto_the_identity(many, caplog):
    few, y = many[:42], measure(many[:42])
    fitted = fit_links("auto", lambda link: fit_link(few, y, link))
    assert choose_link("auto", fitted)[0] == "identity"
    assert "link log-complement is left out" in caplog.text
    with pytest.raises(FoxnasError, match=r"42 subnets are too few .*measure at least 43"):
        fit_links("log-complement", lambda link: fit_link(few, y, link))


def test_saved_link_is_read_back(many, tmp_path):
    bent = fit_link(many, measure(many), "log-complement")
    bent.save(tmp_path / "accuracy.json", {})
    assert Predictor.load(tmp_path / "accuracy.json") == bent
