"""Which weights of a winner are deployed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from foxnas.int8.scored import Scored
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


def attempt(weights: str, right: int, seed: int = 0, sure: float = 0.9) -> Attempt:
    correct = np.zeros(200, bool)
    correct[np.random.default_rng(seed).permutation(200)[:right]] = True
    return Attempt(weights, 90.0, Scored(correct, np.where(correct, sure, 0.1)), weights.encode())


def test_only_a_better_int8_file_takes_the_place() -> None:
    inherited = attempt(INHERITED, 150)
    for right, wins in ((149, False), (150, False), (151, True)):
        assert (better([inherited, attempt(FINE_TUNED, right, 1)], "top1").weights == FINE_TUNED) == wins
    three = [inherited, attempt(FINE_TUNED, 160, 1), attempt(QUANTISATION_AWARE, 160, 2)]
    assert better(three, "top1").weights == FINE_TUNED
    assert three[0].drop_percent == 90.0 - 75.0


def test_by_probability_the_surer_file_takes_the_place() -> None:
    """The inherited file was chosen for the largest of many counts of 200 images, which the other is not to beat."""
    lucky, surer = attempt(INHERITED, 155, sure=0.8), attempt(FINE_TUNED, 153, 1, sure=0.95)
    assert better([lucky, surer], "top1").weights == INHERITED
    assert better([lucky, surer], "probability").weights == FINE_TUNED
    found = of_attempts([lucky, surer], surer, "probability", np.zeros(200, int), ["all"])
    assert (found["chosen"], found["chosen_by"]) == (FINE_TUNED, "probability")
    first, second = found["attempts"]
    assert first["int8_probability_percent"] == pytest.approx((155 * 80 + 45 * 10) / 200)
    gained = second["int8_probability_percent"] - first["int8_probability_percent"]
    assert second["gained_probability"]["points"] == pytest.approx(gained)
    assert second["gained"]["points"] == pytest.approx(-1.0), "that of top-1, which the card tells"


def test_by_probability_nothing_takes_the_place_that_is_certainly_or_too_much_worse() -> None:
    inherited, surest = attempt(INHERITED, 170, sure=0.6), attempt(FINE_TUNED, 140, 1, sure=0.99)
    assert surest.scored.probability.mean() > inherited.scored.probability.mean()
    assert better([inherited, surest], "probability").weights == INHERITED
    surer = attempt(FINE_TUNED, 168, 1, sure=0.99)
    assert better([inherited, surer], "probability").weights == FINE_TUNED
    assert better([inherited, surer], "probability", floor_percent=84.5).weights == INHERITED
    assert better([inherited, surer], "probability", floor_percent=90.0).weights == INHERITED, "nor further from it"
    # What learnt to be rounded is to lose less of top-1, however sure it is.
    aware = attempt(QUANTISATION_AWARE, 172, 2, sure=0.7)
    assert better([inherited, surer, aware], "probability") is aware
    assert better([inherited, surer, attempt(QUANTISATION_AWARE, 167, 2, sure=1.0)], "probability") is surer


def test_the_gain_is_paired_with_the_interval_of_a_mean() -> None:
    one, other = attempt(INHERITED, 140), attempt(FINE_TUNED, 155, 1)
    truth = np.arange(200) % 4 // 3  # three of four are of one class
    found = of_attempts([one, other], other, "top1", truth, ["many", "few"])
    gained = found["attempts"][1]["gained"]
    differences = 100 * (other.scored.correct.astype(float) - one.scored.correct)
    low, high = stats.norm.interval(0.95, differences.mean(), stats.sem(differences))
    np.testing.assert_allclose([gained["points"], gained["lower"], gained["upper"]], [7.5, low, high], rtol=1e-3)
    assert found["chosen"] == FINE_TUNED
    assert found["verify_images"] == 200
    assert "gained" not in found["attempts"][0]
    of_classes = [100 * other.scored.correct[truth == number].mean() for number in (0, 1)]
    assert found["attempts"][1]["mean_class_percent"] == pytest.approx(np.mean(of_classes))
    worst = found["attempts"][1]["worst_class"]
    assert (worst["label"], worst["recall_percent"]) == (["many", "few"][np.argmin(of_classes)], min(of_classes))


def test_the_inherited_weights_stay_next_and_what_is_deployed_is_told() -> None:
    order = {"ranked": [{"id": "a", "batch": "round-1"}, {"id": "b", "batch": "twist"}], "budget_ms": 3}
    first = {"id": "a", "batch": "finished"}
    found = ranked_first(order, first)
    assert found == {"ranked": [first, *order["ranked"]], "budget_ms": 3}
    attempts = [attempt(INHERITED, 140), attempt(FINE_TUNED, 155, 1)]
    finishing = of_attempts(attempts, attempts[1], "top1", np.zeros(200, int), ["all"])
    assert [deployed_attempt(row, finishing)["weights"] for row in found["ranked"]] == [
        FINE_TUNED, INHERITED, INHERITED,
    ]  # fmt: skip
    assert deployed_attempt(order["ranked"][0], {}) == {"weights": INHERITED}
