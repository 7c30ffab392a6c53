"""Which weights of a winner are deployed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from foxnas.verdict.finishing import (
    FINE_TUNED,
    INHERITED,
    QUANTISATION_AWARE,
    Attempt,
    better,
    deployed_attempt,
    of_attempts,
    ranked_first,
)


def attempt(weights: str, right: int, seed: int = 0) -> Attempt:
    correct = np.zeros(200, bool)
    correct[np.random.default_rng(seed).permutation(200)[:right]] = True
    return Attempt(weights, 90.0, correct, weights.encode())


def test_only_a_better_int8_file_takes_the_place() -> None:
    inherited = attempt(INHERITED, 150)
    for right, wins in ((149, False), (150, False), (151, True)):
        assert (better([inherited, attempt(FINE_TUNED, right, 1)]).weights == FINE_TUNED) == wins
    three = [inherited, attempt(FINE_TUNED, 160, 1), attempt(QUANTISATION_AWARE, 160, 2)]
    assert better(three).weights == FINE_TUNED
    assert three[0].drop_percent == 90.0 - 75.0


def test_the_gain_is_paired_with_the_interval_of_a_mean() -> None:
    one, other = attempt(INHERITED, 140), attempt(FINE_TUNED, 155, 1)
    truth = np.arange(200) % 4 // 3  # three of four are of one class
    found = of_attempts([one, other], truth, ["many", "few"])
    gained = found["attempts"][1]["gained"]
    differences = 100 * (other.correct.astype(float) - one.correct)
    low, high = stats.norm.interval(0.95, differences.mean(), stats.sem(differences))
    np.testing.assert_allclose([gained["points"], gained["lower"], gained["upper"]], [7.5, low, high], rtol=1e-3)
    assert found["chosen"] == FINE_TUNED
    assert found["verify_images"] == 200
    assert "gained" not in found["attempts"][0]
    of_classes = [100 * other.correct[truth == number].mean() for number in (0, 1)]
    assert found["attempts"][1]["mean_class_percent"] == pytest.approx(np.mean(of_classes))
    worst = found["attempts"][1]["worst_class"]
    assert (worst["label"], worst["recall_percent"]) == (["many", "few"][np.argmin(of_classes)], min(of_classes))


def test_the_inherited_weights_stay_next_and_what_is_deployed_is_told() -> None:
    order = {"ranked": [{"id": "a", "batch": "round-1"}, {"id": "b", "batch": "twist"}], "budget_ms": 3}
    first = {"id": "a", "batch": "finished"}
    found = ranked_first(order, first)
    assert found == {"ranked": [first, *order["ranked"]], "budget_ms": 3}
    finishing = of_attempts([attempt(INHERITED, 140), attempt(FINE_TUNED, 155, 1)], np.zeros(200, int), ["all"])
    assert [deployed_attempt(row, finishing)["weights"] for row in found["ranked"]] == [
        FINE_TUNED, INHERITED, INHERITED,
    ]  # fmt: skip
    assert deployed_attempt(order["ranked"][0], {}) == {"weights": INHERITED}
