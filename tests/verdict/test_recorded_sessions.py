"""Verdicts on sessions that were recorded on a real machine, quiet and beside others: how often they are wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.promise import CONFIG, DATA, RECORDED, Recording, before, replay
from foxnas.config.whole import read_config
from foxnas.device.protocol import MeasurementProtocol
from foxnas.verdict.decision import ERROR

DECISIONS = 200


@pytest.fixture(scope="module")
def protocol() -> MeasurementProtocol:
    return MeasurementProtocol(**vars(read_config(CONFIG).devices[0].protocol))


@pytest.fixture(scope="module")
def quiet(protocol: MeasurementProtocol) -> Recording:
    return Recording(DATA / RECORDED["quiet"], protocol.min_runs)


@pytest.mark.parametrize("name", RECORDED)
def test_models_two_percent_off_are_judged_wrongly_in_at_most_five_percent(
    name: str, quiet: Recording, protocol: MeasurementProtocol
) -> None:
    """The documented table, in fewer decisions; each also ends: hardly any stays open."""
    recording, rng = Recording(DATA / RECORDED[name], protocol.min_runs), np.random.default_rng(0)
    truth_ms = float(np.median(quiet.medians_ms))
    for true, wrong in ((1.02, "kept"), (0.98, "not kept")):
        found = []
        for _ in range(DECISIONS):
            start_s, usual_ms = rng.uniform(0, recording.began_s[-1]), quiet.usual_ms(rng)
            found.append(replay(recording, start_s, 5.0, usual_ms, truth_ms / true, protocol)[0].state)
        states = Counter(found)
        assert states[wrong] <= ERROR * DECISIONS
        assert states["undecided"] <= ERROR * DECISIONS


def test_the_rule_before_claimed_more_than_it_held(quiet: Recording) -> None:
    """Five sessions in a row and mean + t s / sqrt(n): the bound lay above the median less often than in 95%."""
    starts = np.random.default_rng(0).uniform(0, quiet.began_s[-1], DECISIONS)
    covered = np.mean([before(quiet, start) >= np.median(quiet.medians_ms) for start in starts])
    assert covered < 0.9
