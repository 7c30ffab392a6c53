"""Predictors against statsmodels, closed forms and the published coefficients."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json
from foxnas.predictor.every_form import in_every_form
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import shape_of
from foxnas.predictor.model import Predictor
from foxnas.space.arch import Arch
from foxnas.space.terms import formula
from tests.predictor.conftest import ROWS
from tests.support.kinds import PER_UNIT
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY, unit_values


@pytest.fixture(scope="module")
def fitted(archs, measured):
    return fit("accuracy", CPU_SPACE, 192, archs, measured, target="top-1", unit="%")


@pytest.fixture(scope="module")
def reference(archs, measured):
    return sm.OLS(measured, sm.add_constant(formula("accuracy", CPU_SPACE).matrix(archs))).fit()


def test_coefficient_statistics_are_statsmodels(fitted, reference):
    assert fitted.intercept == pytest.approx(reference.params[0])
    np.testing.assert_allclose(fitted.coefficients, reference.params[1:], rtol=1e-7)
    np.testing.assert_allclose(fitted.statistics.standard_error, reference.bse[1:])
    np.testing.assert_allclose(fitted.statistics.t, reference.tvalues[1:], rtol=1e-6)
    np.testing.assert_allclose(fitted.statistics.p, 2 * stats.t.sf(np.abs(reference.tvalues[1:]), ROWS - 41))


def test_equation_7_counts_the_intercept(fitted):
    rows = fitted.rows
    residual = np.sum(np.square(rows.residual))
    total = np.sum((np.array(rows.measured) - np.mean(rows.measured)) ** 2)
    assert fitted.quality.r2 == pytest.approx(1 - residual / total)
    assert fitted.quality.adjusted_r2 == pytest.approx(1 - (residual / (ROWS - 41)) / (total / (ROWS - 1)))
    assert fitted.uncertainty.residual_standard_error == pytest.approx(np.sqrt(residual / (ROWS - 41)))


def test_intervals_without_statsmodels_are_statsmodels(fitted, reference, unseen):
    wanted = reference.get_prediction(sm.add_constant(fitted.formula.matrix(unseen), has_constant="add"))
    frame = wanted.summary_frame(alpha=0.05)
    got = Predictor.from_json(fitted.to_json()).predict(unseen)
    np.testing.assert_allclose(got.mean, frame["mean"])
    np.testing.assert_allclose(got.standard_error, frame["mean_se"], rtol=1e-6)
    np.testing.assert_allclose(got.mean_lower, frame["mean_ci_lower"])
    np.testing.assert_allclose(got.mean_upper, frame["mean_ci_upper"])
    np.testing.assert_allclose(got.lower, frame["obs_ci_lower"])
    np.testing.assert_allclose(got.upper, frame["obs_ci_upper"])


def test_row_diagnostics_are_statsmodels(fitted, reference):
    influence = reference.get_influence()
    np.testing.assert_allclose(fitted.rows.leverage, influence.hat_matrix_diag, rtol=1e-6)
    np.testing.assert_allclose(fitted.rows.studentised, influence.resid_studentized_external, rtol=1e-6)
    np.testing.assert_allclose(fitted.rows.cooks_distance, influence.cooks_distance[0], rtol=1e-6)
    assert np.sum(fitted.rows.leverage) == pytest.approx(41)


def test_leverage_of_a_training_row_is_its_hat_value(fitted, archs):
    np.testing.assert_allclose(fitted.predict(archs).leverage, fitted.rows.leverage, rtol=1e-6)


def test_press_is_leave_one_out(archs, measured, fitted):
    alone = fit("accuracy", CPU_SPACE, 192, archs, measured, target="top-1", unit="%", folds=ROWS)
    # As many folds as rows: cross-validation refits without each row in turn, PRESS uses the closed form.
    assert alone.quality.r2_cv == pytest.approx(fitted.quality.r2_press, rel=1e-6)


def test_held_out_figures_are_seeded_and_lower_than_in_sample(archs, measured, fitted):
    again = fit("accuracy", CPU_SPACE, 192, archs, measured, target="top-1", unit="%")
    other = fit("accuracy", CPU_SPACE, 192, archs, measured, target="top-1", unit="%", seed=1)
    assert again == fitted
    assert other.quality.r2_cv != fitted.quality.r2_cv
    assert fitted.quality.r2_cv < fitted.quality.adjusted_r2
    assert fitted.quality.tau_cv < fitted.quality.tau


def test_variance_inflation_is_that_of_the_auxiliary_regression(archs, fitted):
    design = fitted.formula.matrix(archs)
    j = fitted.formula.terms.index("DxE_total_3")
    auxiliary = sm.OLS(design[:, j], sm.add_constant(np.delete(design, j, axis=1))).fit()
    assert fitted.statistics.variance_inflation[j] == pytest.approx(1 / (1 - auxiliary.rsquared), rel=1e-6)


def test_intervals_cover(archs, unseen):
    """95% prediction intervals hold about 95% of new measurements (40 subnets x 40 repeats)."""
    rng = np.random.default_rng(7)
    truth, new = PUBLISHED_ACCURACY.predict(archs).mean, PUBLISHED_ACCURACY.predict(unseen).mean
    inside = []
    for _ in range(40):
        one = fit(
            "accuracy", CPU_SPACE, 192, archs, truth + rng.normal(0, 0.3, ROWS), target="top-1", unit="%", folds=2
        )
        band = one.predict(unseen)
        observed = new + rng.normal(0, 0.3, len(new))
        inside.append(np.mean((band.lower <= observed) & (observed <= band.upper)))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_heteroscedastic_and_heavy_tailed_noise_is_noticed(archs, measured, fitted):
    truth = PUBLISHED_LATENCY.predict(archs).mean
    noise = np.random.default_rng(5).standard_t(2, ROWS) * (truth / truth.mean()) ** 3
    noisy = fit("latency", CPU_SPACE, 192, archs, truth + noise, target="latency", unit="ms")
    assert noisy.quality.shapiro_p < 1e-4 < fitted.quality.shapiro_p
    assert fitted.quality.breusch_pagan_p > 0.01


def test_curved_effect_of_the_kernel_needs_the_extended_form(archs):
    extended = formula("accuracy-quadratic-k", CPU_SPACE)
    coefficients = [0.0 if not t.startswith("K2") else 0.5 for t in extended.terms]
    curved = Predictor.published("top-1", "%", 192, extended, 70.0, coefficients).predict(archs).mean
    curved = curved + np.random.default_rng(2).normal(0, 0.05, ROWS)
    plain = fit("accuracy", CPU_SPACE, 192, archs, curved, target="top-1", unit="%")
    better = fit("accuracy-quadratic-k", CPU_SPACE, 192, archs, curved, target="top-1", unit="%")
    assert plain.quality.r2_cv < 0.3
    assert better.quality.r2_cv > 0.9


def test_layers_form_adds_up_what_every_layer_adds(archs):
    """A target that is a sum over layers of E(1 + K^2/9) is exact in this form, and in no other."""
    cost = np.array([sum(e * (1 + k * k / 9) for unit in a.units for k, e in unit) for a in archs])
    exact = fit("layers", CPU_SPACE, 192, archs, cost, target="latency", unit="ms")
    assert exact.quality.r2_cv == pytest.approx(1)
    assert fit("latency-quadratic", CPU_SPACE, 192, archs, cost, target="latency", unit="ms").quality.r2_cv < 0.98


def test_layers_form_is_exact_where_units_have_their_own_choices(tmp_path):
    """Also where a unit has one layer in some subnets: what is not there adds nothing."""
    archs = list(islice(PER_UNIT.sample(32, np.random.default_rng(0)), ROWS))
    cost = np.array([sum(e * (1 + k * k / 9) for unit in a.units for k, e in unit) for a in archs])
    exact = fit("layers", PER_UNIT, 32, archs, cost, target="latency", unit="ms")
    assert exact.quality.r2_cv == pytest.approx(1)
    fitted = fit("accuracy", PER_UNIT, 32, archs, cost, target="latency", unit="ms")
    assert fitted.quality.r2_cv > 0.9
    fitted.save(tmp_path / "latency.json", {})
    assert Predictor.load(tmp_path / "latency.json") == fitted
    assert "own" not in PUBLISHED_LATENCY.to_json()["formula"]


def test_a_form_that_the_rows_do_not_determine_is_left_out_unless_chosen(archs, measured, caplog):
    def fit_first(form):
        few = {"space": CPU_SPACE, "image_size": 192, "archs": archs[:50], "y": measured[:50]}
        return fit(**shape_of("accuracy", form), **few, target="top-1", unit="%", folds=5)

    found = in_every_form("paper", fit_first)
    assert list(found) == ["paper", "quadratic-shrunk", "layers-shrunk"]
    assert "form quadratic is left out" in caplog.text
    with pytest.raises(FoxnasError, match="50 subnets are too few"):
        in_every_form("quadratic", fit_first)


def test_saved_and_loaded_predictor_is_equal(fitted, tmp_path):
    path = tmp_path / "192" / "accuracy.json"
    fitted.save(path, {"seed": 0})
    assert Predictor.load(path) == fitted
    assert read_json(path)["made_by"] == {"seed": 0}
    PUBLISHED_LATENCY.save(path, {})
    assert Predictor.load(path) == PUBLISHED_LATENCY


def test_a_damaged_predictor_is_refused_by_name(fitted, tmp_path):
    path = tmp_path / "accuracy.json"
    path.write_text('{"target": "top-1"}')
    with pytest.raises(FoxnasError, match=r"accuracy\.json.*not a predictor"):
        Predictor.load(path)
    value = fitted.to_json()
    value["terms"] = value["terms"][::-1]
    with pytest.raises(FoxnasError, match="fit it again"):
        Predictor.from_json(value)


def test_published_predictors_at_the_authors_corners():
    """Sums worked out by hand from the table: the smallest subnet has D = 2, E = 2, K = 3 everywhere."""
    smallest = CPU_SPACE.smallest(192)
    columns = [2, 2, 3, 2, 3, 2, 4, 6]
    table = np.array(PUBLISHED_ACCURACY.coefficients).reshape(8, 5)
    assert PUBLISHED_ACCURACY.predict([smallest]).mean[0] == pytest.approx(61.878882 + columns @ table.sum(axis=1))
    columns = [2, 2, 3, 2, 3, 4, 6]
    table = np.array(PUBLISHED_LATENCY.coefficients).reshape(7, 5)
    assert PUBLISHED_LATENCY.predict([smallest]).mean[0] == pytest.approx(16.30464 + columns @ table.sum(axis=1))
    band = PUBLISHED_LATENCY.predict([smallest])
    assert np.isnan([band.lower, band.upper, band.leverage, band.standard_error]).all()


def test_unit_values_add_up(fitted, unseen):
    for predictor in (fitted, PUBLISHED_LATENCY):
        values = [unit_values(predictor, arch.units) for arch in unseen]
        sums = [predictor.intercept + np.trace(v) for v in values]
        np.testing.assert_allclose(predictor.predict(unseen).mean, sums)


def _fit(archs, y):
    return fit("accuracy", CPU_SPACE, 192, archs, y, target="top-1", unit="%")


def test_degenerate_rows_are_refused_with_the_row_and_the_way_out(archs, measured):
    with pytest.raises(FoxnasError, match=r"41 subnets are too few.*40 terms.*at least 42"):
        _fit(archs[:41], measured[:41])
    with pytest.raises(FoxnasError, match=rf"rows 1 and 4 are the same subnet {archs[0].id}"):
        _fit([*archs[:3], archs[0], *archs[4:]], measured)
    broken = measured.copy()
    broken[6] = np.nan
    with pytest.raises(FoxnasError, match=rf"row 7 \({archs[6].id}\).*nan.*measure it again"):
        _fit(archs, broken)
    with pytest.raises(FoxnasError, match=r"row 2 .*224 px"):
        _fit([archs[0], Arch(224, archs[1].units), *archs[2:]], measured)
    with pytest.raises(FoxnasError, match=r"row 2 .*not of this space.*k9e2"):
        _fit([archs[0], archs[1].with_layer(0, 0, (9, 2)), *archs[2:]], measured)
    with pytest.raises(FoxnasError, match="same measurement"):
        _fit(archs, np.full(ROWS, 70.0))
    with pytest.raises(FoxnasError, match=r"150 subnets, but measurements of shape \(149,\)"):
        _fit(archs, measured[1:])


def test_degenerate_columns_are_refused_by_name(archs, measured):
    fixed = [a.with_unit(1, ((3, a.units[1][0][1]), *a.units[1][1:])) for a in archs]
    with pytest.raises(FoxnasError, match="term K_first_2 is 3 for every subnet"):
        _fit(fixed, measured)
    twins = [a.with_unit(1, (a.units[0][0], *a.units[1][1:])) for a in archs]
    with pytest.raises(FoxnasError, match=r"term [EK]_first_[12] is a combination"):
        _fit(twins, measured)


def test_predicting_another_size_is_refused(fitted, archs):
    with pytest.raises(FoxnasError, match="for 192 px, the subnet for 224"):
        fitted.predict([Arch(224, archs[0].units)])


def test_predicting_imports_no_statistics_package():
    heavy = "('statsmodels', 'scipy', 'pandas', 'torch', 'tensorflow')"
    code = f"import sys, foxnas.predictor.model; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
