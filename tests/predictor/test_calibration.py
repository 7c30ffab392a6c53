"""Calibration: against the closed form of a predictive interval, and on proposals drawn from a known error."""

import numpy as np
import pytest
from scipy import stats

from foxnas.predictor.calibration import Calibration
from foxnas.predictor.fit import fit
from foxnas.predictor.model import Predictor
from tests.support.published import CPU_SPACE


@pytest.fixture(scope="module", params=["identity", "log-complement"])
def predictor(request, archs, measured):
    return fit("accuracy", CPU_SPACE, 192, archs, measured, target="top1", unit="percent", link=request.param)


def expected_of(predictor, archs):
    """Prediction, and the standard deviation of a new measurement by the textbook."""
    said = predictor.predict(archs)
    slope = predictor.link.slope(said.mean)
    return said.mean, slope * predictor.uncertainty.residual_standard_error * np.sqrt(1 + said.leverage)


def test_calibrated_intervals_are_students_t_of_the_rows(predictor, unseen) -> None:
    mean, deviation = expected_of(predictor, unseen)
    errors = np.random.default_rng(4).normal(-0.4, 0.3, 12)
    found = Calibration.of(mean[:12] + errors * deviation[:12], mean[:12], deviation[:12])
    assert found.factor == pytest.approx(np.sqrt(np.mean(errors**2)))
    again = found.of_predictor(predictor).predict(unseen)
    assert (again.mean == mean).all()
    half = stats.t.ppf(0.975, 12) * found.factor * deviation
    if predictor.link.asymptote is None:
        assert again.upper - again.mean == pytest.approx(half)
        assert again.mean - again.lower == pytest.approx(half)
    else:  # on the scale of the sums, which bends
        left = predictor.link.asymptote - mean
        assert again.upper - again.mean == pytest.approx(left * -np.expm1(-half / left))
        assert again.mean - again.lower == pytest.approx(left * np.expm1(half / left))
    assert found.expected(again) == pytest.approx(deviation)
    assert Predictor.from_json(found.of_predictor(predictor).to_json()) == found.of_predictor(predictor)


def test_nineteen_of_twenty_intervals_hold_whatever_the_error_was_expected_to_be(predictor, unseen) -> None:
    """A t interval is exact for normal errors: five proposals tell of the sixth, of a tenth or a third of it."""
    mean, deviation = expected_of(predictor, unseen[:6])
    for times in (0.1, 0.3):
        held, rng = [], np.random.default_rng(5)
        for _ in range(800):
            y = mean + times * deviation * rng.normal(0, 1, 6)
            found = Calibration.of(y[:5], mean[:5], deviation[:5])
            said = found.of_predictor(predictor).predict(unseen[5:6])
            held.append(said.lower[0] <= y[5] <= said.upper[0])
        assert 0.93 < np.mean(held) < 0.97


def test_without_proposals_nothing_changes(predictor) -> None:
    assert Calibration().of_predictor(predictor) is predictor
    assert Calibration(**Calibration(0.5, 9).to_json()) == Calibration(0.5, 9)
