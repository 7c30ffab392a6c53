"""Whole models over sessions of their own, and the bound that a promise is held to."""

import numpy as np
import pytest

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.device.whole_models import ModelLatency, measure_models, upper_bound
from foxnas.errors import FoxnasError
from tests.support.fake_device import MODEL, QUICK, FakeTransport


def test_upper_bound_is_students_t():
    # Tables of t: t(0.95, 2) = 2.920, t(0.95, 4) = 2.132.
    assert upper_bound([1.0, 2.0, 3.0]) == pytest.approx(2 + 2.920 / 3**0.5, abs=1e-3)
    assert upper_bound([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(3 + 2.132 * 2.5**0.5 / 5**0.5, abs=1e-3)
    with pytest.raises(FoxnasError, match="at least 3"):
        upper_bound([1.0, 2.0])


@pytest.mark.parametrize(
    ("n", "skewed", "stated"), [(3, False, 0.95), (5, False, 0.95), (3, True, 0.92), (5, True, 0.95)]
)
def test_upper_bound_covers_the_median_as_often_as_its_docstring_says(n, skewed, stated):
    rng = np.random.default_rng(n)
    medians = 1 + 0.02 * (rng.exponential(size=(4000, n)) if skewed else rng.normal(size=(4000, n)))
    truth = 1 + 0.02 * (np.log(2) if skewed else 0)
    coverage = np.mean([upper_bound(list(row)) >= truth for row in medians])
    assert coverage == pytest.approx(stated, abs=0.013)  # three standard errors


def test_a_promise_is_kept_by_the_bound_not_by_the_median():
    latency = ModelLatency((0.98, 0.99, 1.00))
    assert latency.median_ms == 0.99
    assert 1.0 < latency.upper_ms <= 1.01


def test_noisy_timings_of_a_model_are_made_again():
    # Every other timing is twice as slow and noisy.
    fake = FakeTransport(
        lambda identifier, now: 1.0 + now % 2, lambda identifier: 0.3 if len(fake.log) % 2 == 0 else 0.01
    )
    protocol = MeasurementProtocol(max_attempts=6)
    found, _ = measure_models(Device("bench", fake), protocol, {"model": MODEL}, 3, np.random.default_rng(0))
    assert found["model"].session_medians_ms == (1.0, 1.0, 1.0)


def test_models_are_timed_in_sessions_of_their_own(here):
    latencies, info = measure_models(here, QUICK, {"a": MODEL, "b": MODEL}, 3, np.random.default_rng(0), rounds=2)
    assert [len(one.session_medians_ms) for one in latencies.values()] == [3, 3]
    assert all(one.fallback_operators == 2 and one.upper_ms >= one.median_ms > 0 for one in latencies.values())
    assert latencies["a"].dtype == "int8"
    assert latencies["a"].executor == "xnnpack"
    assert len(info["sessions"]) == 3
    with pytest.raises(FoxnasError, match="model junk cannot be run"):
        measure_models(here, QUICK, {"junk": b"junk"}, 3, np.random.default_rng(0))
    with pytest.raises(FoxnasError, match="at least 3 sessions, 2 are set"):
        measure_models(here, QUICK, {"model": MODEL}, 2, np.random.default_rng(0))
