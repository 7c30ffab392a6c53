"""Shrunk fits against scikit-learn, least squares and subnets that no fit has seen."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foxnas.errors import FoxnasError
from foxnas.predictor import penalty as penalty_of
from foxnas.predictor.fit import fit
from foxnas.predictor.model import Predictor
from foxnas.predictor.solution import shrunk
from foxnas.space.terms import formula
from tests.predictor.conftest import ROWS
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY


def test_shrunk_fit_is_ridge_regression_with_the_smallest_ten_fold_error(archs, measured):
    """Against scikit-learn: Ridge for the coefficients, its errors on the same folds for the choice of the penalty."""
    design = formula("accuracy", CPU_SPACE).matrix(archs)
    got = shrunk(design, measured)
    pipeline = make_pipeline(StandardScaler(), Ridge(got.shrinkage)).fit(design, measured)
    np.testing.assert_allclose(got.fitted, pipeline.predict(design), rtol=1e-9)
    np.testing.assert_allclose(got.coefficients[0] + design @ got.coefficients[1:], got.fitted)

    z = StandardScaler().fit_transform(design)
    folds = np.empty((2, ROWS), dtype=int)
    for deal in (0, 1):
        for number, part in enumerate(np.array_split(np.random.default_rng(deal).permutation(ROWS), 10)):
            folds[deal, part] = number
    held_out = {
        penalty: np.stack([cross_val_predict(Ridge(penalty), z, measured, cv=PredefinedSplit(f)) for f in folds])
        for penalty in (got.shrinkage / 3, got.shrinkage, got.shrinkage * 3)
    }
    errors = {penalty: np.mean((measured - predicted) ** 2) for penalty, predicted in held_out.items()}
    assert min(errors, key=errors.__getitem__) == got.shrinkage
    missed = penalty_of.Ridge.of(z).missed(got.shrinkage, measured[:, None])[..., 0]
    np.testing.assert_allclose(measured - missed, held_out[got.shrinkage], rtol=1e-8)
    # The posterior covariance is (X'X + P)^-1: its quadratic form over the rows is the hat matrix's diagonal.
    x = np.column_stack([np.ones(ROWS), design])
    np.testing.assert_allclose(np.einsum("ij,jk,ik->i", x, got.unscaled_covariance, x), got.leverage, rtol=1e-6)


def test_shrinkage_without_a_penalty_to_speak_of_is_least_squares(archs, measured):
    noiseless = PUBLISHED_ACCURACY.predict(archs).mean
    got, plain = (
        fit("accuracy", CPU_SPACE, 192, archs, noiseless + 1e-6 * measured, target="top-1", unit="%", shrink=shrink)
        for shrink in (True, False)
    )
    assert got.quality.effective_parameters == pytest.approx(41, abs=0.05)
    np.testing.assert_allclose(got.coefficients, plain.coefficients, atol=1e-3)


def test_shrinkage_saves_measurements(archs, measured, unseen):
    """With 60 subnets for 60 terms least squares is worse than the mean; shrunk, the same terms predict."""
    truth = PUBLISHED_ACCURACY.predict(unseen).mean
    few, y = archs[:62], measured[:62]
    few_shrunk = fit("accuracy-quadratic", CPU_SPACE, 192, few, y, target="top-1", unit="%", shrink=True)
    plain = fit("accuracy-quadratic", CPU_SPACE, 192, few, y, target="top-1", unit="%")
    errors = [np.mean((p.predict(unseen).mean - truth) ** 2) / truth.var() for p in (few_shrunk, plain)]
    assert errors[0] < 0.25 < 1 < errors[1]
    assert few_shrunk.quality.effective_parameters < 45
    fewer = fit("accuracy-quadratic", CPU_SPACE, 192, few[:30], y[:30], target="top-1", unit="%", shrink=True)
    assert Predictor.from_json(fewer.to_json()) == fewer
    with pytest.raises(FoxnasError, match="19 subnets are too few to choose a penalty by; measure at least 20"):
        fit("accuracy", CPU_SPACE, 192, few[:19], y[:19], target="top-1", unit="%", shrink=True)


def test_a_shrunk_fit_that_leaves_no_degree_of_freedom_is_refused(archs):
    """Every term counts and nothing is noise: next to no penalty, and as many parameters as subnets."""
    few = archs[:40]
    design = formula("accuracy-quadratic", CPU_SPACE).matrix(few)
    exact = design @ np.random.default_rng(0).normal(size=design.shape[1])
    with pytest.raises(
        FoxnasError, match=r"accuracy at 192 px: 40 subnets are too few for the (39|40).[0-9] parameters"
    ):
        fit("accuracy-quadratic", CPU_SPACE, 192, few, exact, target="accuracy", unit="%", shrink=True)


@pytest.mark.parametrize("name", ["accuracy-quadratic", "layers"])
def test_shrinkage_keeps_its_head_with_as_many_rows_as_terms(unseen, name):
    """Leave-one-out, which chose the penalty before, liked the smallest of all best in some of these samples."""
    truth, worst, terms = PUBLISHED_ACCURACY.predict(unseen).mean, [], formula(name, CPU_SPACE)
    for seed in [*range(20), 45]:
        sample = CPU_SPACE.sample(192, np.random.default_rng([5, seed]))
        few = [next(sample) for _ in range(61)]
        y = PUBLISHED_ACCURACY.predict(few).mean + np.random.default_rng([6, seed]).normal(0, 0.25, 61)
        intercept, *slopes = shrunk(terms.matrix(few), y).coefficients
        worst.append(1 - np.mean((intercept + terms.matrix(unseen) @ slopes - truth) ** 2) / truth.var())
    assert min(worst) > 0.45
