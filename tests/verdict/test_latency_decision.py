"""The rule that calls a latency promise kept, not kept or undecided."""

import numpy as np
import pytest
from scipy import stats

from foxnas.verdict.decision import ERROR, decide, is_divided, is_look, is_over, looks, rank
from foxnas.verdict.verification import latency_of


def test_the_rule_looks_after_the_least_and_whenever_they_have_doubled() -> None:
    assert looks(5, 5) == [5]
    assert looks(17, 5) == [5, 10, 17]
    assert looks(40, 5) == [5, 10, 20, 40]
    assert [n for n in range(1, 50) if is_look(n, 5)] == [5, 10, 20, 40]


@pytest.mark.parametrize("least", [3, 5, 6, 8])
def test_ranks_are_the_binomial_tail_that_the_spending_allows(least: int) -> None:
    """Against scipy's binomial distribution, look by look."""
    for sessions in range(least, 60):
        spent = 0.0
        for k, n in enumerate(looks(sessions, least), 1):
            place = rank(n, least)[0]
            allowed = ERROR * (1 - 3.0**-k) - spent
            assert stats.binom.cdf(place - 1, n, 0.5) <= allowed < stats.binom.cdf(place, n, 0.5)
            spent += stats.binom.cdf(place - 1, n, 0.5)
        assert rank(sessions, least)[1] == pytest.approx(spent)
        assert spent <= ERROR


def test_bounds_are_order_statistics() -> None:
    medians = [1.04, 1.00, 1.02, 1.01, 1.03]
    found = decide(medians, 1.05, [2.0] * 5, 2.0, 5)
    assert (found.state, found.lower, found.upper, found.reason) == ("kept", 1.00, 1.04, "")
    assert decide(medians, 0.99, [2.0] * 5, 2.0, 5).state == "not kept"
    found = decide(medians, 1.02, [2.0] * 5, 2.0, 5)
    assert found.state == "undecided"
    assert found.reason == "after 5 sessions the median lies between 1 and 1.04 ms"


def test_one_bad_session_costs_a_rank_and_not_the_promise() -> None:
    medians = [1.0, 1.01, 1.0, 1.01, 9.0, 1.0, 1.01, 1.0, 1.01, 1.0]
    assert decide(medians, 1.02, [1.0] * 10, 1.0, 5).state == "kept"
    assert decide([*medians[:4], 0.01, *medians[5:]], 0.99, [1.0] * 10, 1.0, 5).state == "not kept"


def test_a_budget_between_the_medians_and_those_as_usual_ends_the_sessions_at_the_second_look() -> None:
    """More of the like leave it open: the bounds of 1,000 sessions still do."""
    rng = np.random.default_rng(0)
    noise = 1 + 0.002 * rng.normal(size=1_000)
    fast, references = list(0.99 * noise), [0.97] * 1_000
    assert is_divided(fast, 1.0, references, 1.0)
    assert decide(fast, 1.0, references, 1.0, 5).state == "undecided"
    over = [n for n in range(1, 21) if is_over(fast[:n], 1.0, references[:n], 1.0, 5)]
    assert over == [10, 20]
    assert not is_divided(fast, 1.0, references, None)
    timed = {"sessions_redone": [], "session_medians_ms": fast[:10], "reference_medians_ms": references[:10]}
    said = latency_of(timed | {"disturbed": False}, 1.0, 1.0, 5).reason
    assert "for the references take 3.0% less" in said
    assert said.endswith("when the device runs as it did then, or sample it anew")


def test_an_open_promise_that_more_sessions_may_decide_goes_on() -> None:
    wide = [0.9, 1.1] * 5 + [0.999]
    assert not is_over(wide[:10], 1.0, [1.0] * 10, 1.0, 5)
    assert is_over([0.9] * 5, 1.0, [1.0] * 5, 1.0, 5)
    assert not is_over([0.9] * 6, 1.0, [1.0] * 6, 1.0, 5)


@pytest.mark.parametrize(
    ("sessions", "least", "said"),
    [
        (0, 5, "0 undisturbed sessions are too few for a bound, which takes 5"),
        (1, 5, "1 undisturbed session is too few for a bound, which takes 5"),
        (4, 5, "4 undisturbed sessions are too few for a bound, which takes 5"),
        (3, 3, "3 undisturbed sessions are too few for a bound, which takes 5"),
        (4, 3, "4 undisturbed sessions are too few for a bound, which takes 5"),
        (6, 5, "after 5 undisturbed sessions it was open, and after 6 it is too soon for another bound, which takes 7"),
    ],
)
def test_too_few_sessions_decide_nothing_and_say_how_many_would(sessions: int, least: int, said: str) -> None:
    found = decide([0.5] * sessions, 1.0, [1.0] * sessions, 1.0, least)
    assert (found.state, found.reason) == ("undecided", said)
    enough = int(said.rpartition(" ")[2])
    assert decide([0.5] * enough, 1.0, [1.0] * enough, 1.0, least).state == "kept"


def test_the_look_that_is_said_to_have_left_it_open_did() -> None:
    medians = [1.0, 1.0, 1.0, 1.0, 1.5, 1.0]
    assert decide(medians[:5], 1.2, [1.0] * 5, 1.0, 5).state == "undecided"
    found = decide(medians, 1.2, [1.0] * 6, 1.0, 5)
    assert (found.state, found.lower, found.upper) == ("undecided", 1.0, 1.5)
    assert found.reason.startswith("after 5 undisturbed sessions it was open")


def test_what_all_sessions_share_is_not_promised_away() -> None:
    """A clock 3% fast makes a model that is 2% too slow look 1% within; one 3% slow the other way round."""
    for budget_ms, medians_ms, reference_ms, said in (
        (1.0, 1.02 * 0.97, 2.0 * 0.97, "3.0% less"),
        (1.0, 0.98 * 1.03, 2.0 * 1.03, "3.0% more"),
    ):
        found = decide([medians_ms] * 5, budget_ms, [reference_ms] * 5, 2.0, 5)
        assert found.state == "undecided"
        assert f"for the references take {said} than when it was sampled" in found.reason
        # Without what is usual, nothing tells.
        assert decide([medians_ms] * 5, budget_ms, [reference_ms] * 5, None, 5).state != "undecided"


@pytest.mark.parametrize("shared", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("skewed", [False, True])
def test_wrong_verdicts_stay_within_the_error_whatever_the_sessions_share(shared: float, skewed: bool) -> None:
    """Simulated: 1,000 models at the very edge, 1% of noise a session, looks up to 40 sessions."""
    rng, wrong = np.random.default_rng(int(1000 * shared) + skewed), {"kept": 0, "not kept": 0}
    for _ in range(1000):
        draw = rng.exponential(size=40) - np.log(2) if skewed else rng.normal(size=40)
        common = np.exp(shared * rng.normal())
        medians, references = common * np.exp(0.01 * draw), common * np.exp(0.003 * rng.normal(size=40))
        for n in (5, 10, 20, 40):
            found = decide(medians[:n].tolist(), 1.0, references[:n].tolist(), 1.0, 5)
            if found.state != "undecided":
                wrong[found.state] += 1
                break
    assert max(wrong.values()) <= 1000 * ERROR + 3 * np.sqrt(1000 * ERROR)


def test_an_open_promise_says_what_disturbed_it_and_what_to_do() -> None:
    redone = [{"session": n, "reason": f"references drifted by +{n}0.0% (limit 10%)"} for n in (2, 3)]
    redone.append({"session": 9, "reason": "runs spread by 20.0% (limit 10%)"})
    timed = {
        "session_medians_ms": [0.9, 1.1, 1.0, 1.0, 1.0], "reference_medians_ms": [2.0] * 5, "disturbed": False,
        "sessions_redone": redone,
    }  # fmt: skip
    found = latency_of(timed, 2.0, 1.0, 5)
    assert found.state == "undecided"
    assert found.reason == (
        "after 5 sessions the median lies between 0.9 and 1.1 ms; 3 sessions were disturbed, most often: references "
        "drifted. Quieten the device, or raise validation.most_sessions, and validate again"
    )
    found = latency_of({**timed, "disturbed": True}, 2.0, 5.0, 5)
    assert (found.state, found.lower, found.upper) == ("undecided", 0.9, 1.1)
    assert found.reason.startswith("too few sessions were undisturbed; 3 sessions were disturbed")
