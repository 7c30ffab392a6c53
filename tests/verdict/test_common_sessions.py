"""Common sessions of all budgets' candidates: the decisions of sessions apart, and who takes part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from foxnas.device.whole_models import ModelLatency
from foxnas.verdict.common_sessions import Confirmations, Queue, Rule
from foxnas.verdict.confirmation import Trial, confirm
from foxnas.verdict.decision import Decision, is_over
from foxnas.verdict.verification import latency_of

SESSIONS, MOST = 5, 40


@dataclass(frozen=True)
class Timed:
    """A session as its numbers: the medians of its models and its reference, and who was disturbed in it."""

    medians_ms: dict[str, float]
    reference_ms: float
    disturbed: frozenset[str] = frozenset()

    @property
    def models(self) -> Sequence[str]:
        return list(self.medians_ms)


def latency_of_model(name: str, own: Sequence[Timed]) -> ModelLatency:
    """As `latency_over` has it: calm sessions, or all where too few are calm."""
    calm = [one for one in own if name not in one.disturbed]
    believed = calm if len(calm) >= 3 else own
    return ModelLatency(
        tuple(one.medians_ms[name] for one in believed),
        tuple(one.reference_ms for one in believed),
        tuple({"session": i, "reason": "busy"} for i, one in enumerate(own, 1) if name in one.disturbed),
        disturbed=len(calm) < 3,
    )


def made_up(rng: np.random.Generator, usual_ms: dict[str, float], names: Sequence[str]) -> Timed:
    """A session at a clock that all share, with one disturbance in five."""
    clock = 1 + 0.01 * rng.normal()
    medians = {name: usual_ms[name] * clock * (1 + 0.005 * float(rng.normal())) for name in names}
    return Timed(medians, clock, frozenset(name for name in names if rng.random() < 0.2))


def apart(own: Sequence[Timed], name: str, budget_ms: float) -> tuple[int, ModelLatency, Decision]:
    """How many of these sessions a model needs alone, and what they come to: as `measure_models` asks after each."""
    for made in range(1, len(own) + 1):
        found = latency_of_model(name, own[:made])
        medians, references = found.session_medians_ms, found.reference_medians_ms
        enough = not found.disturbed and len(medians) >= SESSIONS
        if made == MOST or (enough and is_over(medians, budget_ms, references, 1.0, SESSIONS)):
            return made, found, latency_of(found.to_json(), 1.0, budget_ms, SESSIONS)
    raise AssertionError("alone it would need another session")


@pytest.mark.parametrize("room", [0, 4, 100])
@pytest.mark.parametrize("seed", range(8))
def test_each_promise_is_decided_as_by_its_models_sessions_alone(seed: int, room: int) -> None:
    """By the timings that were recorded: kept, not kept, undecided; some models are candidates of two budgets."""
    rng, names = np.random.default_rng(seed), [f"model {i}" for i in range(9)]
    usual_ms = dict(zip(names, rng.uniform(0.9, 1.1, 9), strict=True))
    queues = {
        "p25": Queue(0.95, names[:4]), "p50": Queue(1.0, names[3:7]), "p75": Queue(1.05, [*names[5:], names[3]]),
    }  # fmt: skip
    found = Confirmations(queues, Rule(SESSIONS, MOST, 1.0), latency_of_model)
    made: list[Timed] = []
    while taking_part := found.next_models(room):
        made.append(made_up(rng, usual_ms, taking_part))
        found.learn(made[-1])
    one_by_one = 0
    for budget, queue in queues.items():
        needed = []

        def try_apart(row: Any, queue: Queue = queue, needed: list[int] = needed) -> Trial:
            own = [one for one in made if row["arch"] in one.models]
            sessions, latency, decision = apart(own, row["arch"], queue.budget_ms)
            needed.append(sessions)
            return {**row, "latency": latency.to_json(), "decision": vars(decision), "sessions": own[:sessions]}

        def try_found(row: Any, budget: str = budget) -> Trial:
            outcome = found.outcome(budget, row["arch"])
            told = {"latency": outcome.latency, "decision": vars(outcome.decision)}
            return {**row, **told, "sessions": list(outcome.sessions)}

        rows = [{"arch": name} for name in queue.models]
        assert confirm(rows, try_found) == confirm(rows, try_apart)
        one_by_one += sum(needed)
    assert len(made) <= one_by_one


def test_what_a_killed_job_left_is_continued_and_not_made_again() -> None:
    names = [f"model {i}" for i in range(4)]
    queues = {"p25": Queue(0.97, names[:2]), "p50": Queue(1.02, names[2:])}
    rng = np.random.default_rng(0)
    made: list[Timed] = []
    whole = Confirmations(queues, Rule(SESSIONS, MOST, 1.0), latency_of_model)
    while taking_part := whole.next_models(3):
        made.append(Timed({name: float(rng.normal(1, 0.02)) for name in taking_part}, 1.0))
        whole.learn(made[-1])
    for cut in range(len(made) + 1):
        resumed = Confirmations(queues, Rule(SESSIONS, MOST, 1.0), latency_of_model, made[:cut])
        expected = made[cut].models if cut < len(made) else []
        assert list(resumed.next_models(3)) == list(expected)


def test_the_best_of_each_budget_take_part_and_the_next_ones_where_there_is_room() -> None:
    queues = {"a": Queue(1.0, ["a1", "a2", "a3"]), "b": Queue(1.0, ["b1", "a1", "b2"])}
    found = Confirmations(queues, Rule(SESSIONS, MOST, 1.0), latency_of_model)
    assert found.next_models(0) == ["a1", "b1"]
    assert found.next_models(4) == ["a1", "b1", "a2", "a3"]
    assert found.next_models(9) == ["a1", "b1", "a2", "a3", "b2"]
    for _ in range(SESSIONS):
        found.learn(Timed({"a1": 1.5, "b1": 0.5, "a2": 0.5}, 1.0))
    assert found.outcome("a", "a1").decision.state == "not kept"
    assert found.next_models(9) == [], "a2 keeps a, b1 keeps b, and a1 is no longer asked for in b"
    assert found.concerned(Timed({"a1": 1.0}, 1.0)) == ["a", "b"]


def test_a_promise_that_is_decided_stays_though_its_model_goes_on_for_another_budget() -> None:
    found = Confirmations(
        {"a": Queue(1.0, ["m"]), "b": Queue(1.11, ["m"])}, Rule(SESSIONS, MOST, 1.0), latency_of_model
    )
    times = [1.1, 1.12, 1.1, 1.1, 1.1, *[0.5] * 5]
    for ms in times[:5]:
        found.learn(Timed({"m": ms}, 1.0))
    assert found.outcome("a", "m").decision.state == "not kept"
    assert found.next_models(0) == ["m"], "between 1.10 and 1.12 b is open"
    for ms in times[5:]:
        found.learn(Timed({"m": ms}, 1.0))
    assert len(found.outcome("a", "m").sessions) == 5
    assert found.outcome("b", "m").decision.state == "kept"


def test_sharing_sessions_leaves_the_error_of_each_promise_where_it_was() -> None:
    """Models just too slow for their budgets, whose timings move together: at most 5% are called kept, each."""
    rng = np.random.default_rng(1)
    names, runs, correlation, wrong = ["m1", "m2"], 400, 0.9, np.zeros(2)
    for _ in range(runs):
        queues = {name: Queue(0.9999, [name]) for name in names}
        found = Confirmations(queues, Rule(SESSIONS, 20, 1.0), latency_of_model)
        while taking_part := found.next_models(0):
            shared = rng.normal()
            noise = correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.normal(size=2)
            own = dict(zip(names, 1 + 0.01 * noise, strict=True))
            found.learn(Timed({name: float(own[name]) for name in taking_part}, 1.0))
        wrong += [found.outcome(name, name).decision.state == "kept" for name in names]
    assert (wrong / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5).all()
