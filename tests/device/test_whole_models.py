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
    # Every other timing of the model is twice as slow and noisy.
    def disturbed(identifier):
        return identifier == "model" and fake.log.count("model") % 2 == 0

    fake = FakeTransport(
        lambda identifier, now: 1.0 + (identifier == "model" and fake.log.count("model") % 2),
        lambda identifier: 0.3 if disturbed(identifier) else 0.01,
    )
    protocol = MeasurementProtocol(max_attempts=6)
    found, _ = measure_models(Device("bench", fake), protocol, {"model": MODEL}, MODEL, 3, np.random.default_rng(0))
    assert found["model"].session_medians_ms == (1.0, 1.0, 1.0)


def test_models_are_timed_in_sessions_of_their_own(here):
    latencies, info = measure_models(
        here, QUICK, {"a": MODEL, "b": MODEL}, MODEL, 3, np.random.default_rng(0), rounds=2
    )
    assert [len(one.session_medians_ms) for one in latencies.values()] == [3, 3]
    assert all(one.fallback_operators == 2 and one.upper_ms >= one.median_ms > 0 for one in latencies.values())
    assert latencies["a"].dtype == "int8"
    assert latencies["a"].executor == "xnnpack"
    assert len(info["sessions"]) == 3
    with pytest.raises(FoxnasError, match="model junk cannot be run"):
        measure_models(here, QUICK, {"junk": b"junk"}, MODEL, 3, np.random.default_rng(0))
    with pytest.raises(FoxnasError, match="at least 3 sessions, 2 are set"):
        measure_models(here, QUICK, {"model": MODEL}, MODEL, 2, np.random.default_rng(0))


#: One model, three rounds: the reference around each.
PER_SESSION = 7
CALM = MeasurementProtocol()


def timed(fake, sessions=3, **options):
    device = Device("bench", fake)
    return measure_models(device, CALM, {"model": MODEL}, MODEL, sessions, np.random.default_rng(0), **options)


def test_the_reference_is_timed_before_between_and_after():
    fake = FakeTransport(lambda identifier, now: 2.0 if identifier == "reference" else 1.0)
    found, info = timed(fake)
    assert fake.log == ["reference", "model"] * 3 + ["reference", *["reference", "model"] * 3, "reference"] + [
        *["reference", "model"] * 3, "reference"
    ]  # fmt: skip
    assert found["model"].reference_medians_ms == (2.0, 2.0, 2.0)
    assert [one["references_ms"] for one in info["sessions"]] == [[2.0] * 4] * 3


@pytest.mark.parametrize("baseline_ms", [None, 1.0])
def test_a_session_at_another_clock_is_made_again_and_listed(baseline_ms):
    # The second session runs at half the clock.
    fake = FakeTransport(lambda identifier, now: 2.0 if now // PER_SESSION == 1 else 1.0)
    found, info = timed(fake, baseline_ms=baseline_ms)
    assert found["model"].session_medians_ms == (1.0, 1.0, 1.0)
    assert found["model"].sessions_redone == (
        {"session": 2, "reason": "references drifted by +100.0% (limit 10%)"},
    )  # fmt: skip
    assert len(info["sessions"]) == 4
    assert not found["model"].disturbed


def test_a_step_of_the_clock_within_a_session_is_seen_though_its_median_is_not_far_off():
    # Half way through the first session the clock falls by 8%: neither half is beyond the limit of drift.
    fake = FakeTransport(lambda identifier, now: 1.08 if 3 < now < PER_SESSION else 1.0)
    (one,) = timed(fake)[0]["model"].sessions_redone
    assert one["session"] == 1
    assert one["reason"] == "the clock stepped: references changed by +8.0% (limit 5%)"


@pytest.mark.parametrize("who", ["model", "reference"])
def test_a_session_in_which_another_process_took_the_cpu_is_made_again(who):
    fake = FakeTransport(preempted=lambda identifier: 80.0 if identifier == who and len(fake.log) < 9 else 2.0)
    found, _ = timed(fake)
    (one,) = found["model"].sessions_redone
    assert one == {"session": 1, "reason": "another process took the CPU in 80% of runs (limit 40%)"}


def test_a_device_that_is_always_disturbed_is_named_and_not_believed(caplog):
    fake = FakeTransport()
    found, info = timed(fake, baseline_ms=0.5, most_sessions=6)
    assert len(info["sessions"]) == 6
    assert found["model"].disturbed
    assert found["model"].session_medians_ms == (1.0,) * 6
    assert [one["session"] for one in found["model"].sessions_redone] == [1, 2, 3, 4, 5, 6]
    assert "model model was disturbed in 6 of 6 sessions" in caplog.text
    assert "references drifted by +100.0%" in caplog.text


def test_sessions_are_added_until_what_was_found_will_do():
    fake = FakeTransport()
    found, _ = timed(fake, most_sessions=20, enough=lambda latency: len(latency.session_medians_ms) >= 11)
    assert len(found["model"].session_medians_ms) == 11
    found, _ = timed(fake, most_sessions=7, enough=lambda latency: False)
    assert len(found["model"].session_medians_ms) == 7


def test_a_model_that_has_enough_waits_for_no_other():
    def noisy(identifier):
        return 0.3 if identifier == "b" and fake.log.count("b") < 5 else 0.01

    fake = FakeTransport(spread=noisy)
    models = {"a": MODEL, "b": MODEL}
    found, info = measure_models(Device("bench", fake), CALM, models, MODEL, 3, np.random.default_rng(0))
    assert [one["session"] for one in found["b"].sessions_redone] == [1]
    assert found["b"].sessions_redone[0]["reason"] == "runs spread by 30.0% (limit 10%)"
    assert found["a"].sessions_redone == ()
    assert len(info["sessions"]) == 4
    assert fake.log.count("a") == 9


def test_sessions_start_apart(monkeypatch):
    slept, now = [], [0.0]
    monkeypatch.setattr("foxnas.device.whole_models.time.sleep", lambda s: (slept.append(s), now.append(now[-1] + s)))
    monkeypatch.setattr("foxnas.device.whole_models.time.monotonic", lambda: now[-1])

    def slow(identifier, number):
        now.append(now[-1] + 1.0)  # each timing takes a second: a session seven
        return 1.0

    timed(FakeTransport(slow), spread_s=10.0)
    assert slept == [0.0, 3.0, 3.0]
