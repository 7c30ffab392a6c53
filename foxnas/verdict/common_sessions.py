"""The candidates of all budgets of a device in common sessions: who takes part in the next, and what became of each.

A session times every model that takes part in it, so that the time between sessions is waited once for all. Each
promise is decided as if its model had been alone: by the rule of `foxnas.verdict.decision`, of that model's own
sessions, in their order, at the same looks. What its sessions say of other models takes no part in that, and the bound
of the rule's error holds for each promise by itself, whether or not other models' sessions are independent of its own.
A model enters and leaves by what was found of others and by its own decisions, never by a timing of its own that is
not a decision. Where a model goes on for another budget, a promise that is decided stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Generic, Protocol, TypeVar

from foxnas.verdict.decision import Decision, is_over
from foxnas.verdict.verification import latency_of


class Session(Protocol):
    """What is asked of a session."""

    @property
    def models(self) -> Collection[str]:
        """The names of the models that it timed."""


S = TypeVar("S", bound=Session)


class Latency(Protocol):
    """What is asked of what sessions say of a model, as `ModelLatency` has it."""

    session_medians_ms: tuple[float, ...]
    reference_medians_ms: tuple[float, ...]
    disturbed: bool

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""


@dataclass(frozen=True)
class Rule:
    """When a model's sessions are enough, and what they decide.

    Parameters
    ----------
    sessions
        Undisturbed ones that each model needs at least.
    most_sessions
        The most, disturbed ones included.
    baseline_ms
        What the reference model usually takes; see `decide`.
    """

    sessions: int
    most_sessions: int
    baseline_ms: float | None

    def ends(self, latency: Latency, made: int, budget_ms: float) -> bool:
        """Return whether a model needs no session more for a budget."""
        if made >= max(self.most_sessions, self.sessions):
            return True
        medians = latency.session_medians_ms
        if latency.disturbed or len(medians) < self.sessions:
            return False
        return is_over(medians, budget_ms, latency.reference_medians_ms, self.baseline_ms, self.sessions)

    def decided(self, latency: Mapping[str, Any], budget_ms: float) -> Decision:
        """Return what the sessions came to; see `latency_of`."""
        return latency_of(latency, self.baseline_ms, budget_ms, self.sessions)


@dataclass(frozen=True)
class Queue:
    """A budget's candidates, best first, by the names of their models; the first that keeps the budget is deployed."""

    budget_ms: float
    models: Sequence[str]


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """What a model's sessions came to for a budget: no later one counts."""

    latency: Mapping[str, Any]
    decision: Decision
    sessions: Sequence[S]


class Confirmations(Generic[S]):
    """What common sessions come to, for every candidate of every budget.

    Parameters
    ----------
    queues
        By budget.
    rule
        By which each promise is decided.
    latency_of_model
        What sessions of a model say of it.
    made
        Sessions so far, in the order of time.
    """

    def __init__(
        self,
        queues: Mapping[str, Queue],
        rule: Rule,
        latency_of_model: Callable[[str, Sequence[S]], Latency],
        made: Iterable[S] = (),
    ) -> None:
        self.queues, self._rule, self._latency_of = queues, rule, latency_of_model
        self._own: dict[str, list[S]] = {}
        self._outcomes: dict[tuple[str, str], Outcome[S]] = {}
        for session in made:
            self.learn(session)

    def learn(self, session: S) -> None:
        """Take note of the next session."""
        for model in session.models:
            own = self._own.setdefault(model, [])
            own.append(session)
            open_ = [name for name in self._having(model) if (name, model) not in self._outcomes]
            if not open_:
                continue
            latency = self._latency_of(model, own)
            for name in open_:
                budget_ms = self.queues[name].budget_ms
                if self._rule.ends(latency, len(own), budget_ms):
                    told = latency.to_json()
                    decision = self._rule.decided(told, budget_ms)
                    self._outcomes[name, model] = Outcome(told, decision, tuple(own))

    def outcome(self, budget: str, model: str) -> Outcome[S]:
        """Return what became of a candidate. Raises KeyError while that is open."""
        return self._outcomes[budget, model]

    def next_models(self, room: int) -> list[str]:
        """Return the models of the next session: of each budget the best that is open, and the next ones with room.

        Those that follow may be needed, too, and cost nothing in the time that is waited anyhow. They come by rank.
        """
        waiting = [self._open(name) for name in self.queues]
        needed = set(chain.from_iterable(models[:1] for models in waiting))
        by_rank = dict.fromkeys(model for row in zip_longest(*waiting) for model in row if model is not None)
        taking_part = sorted(by_rank, key=lambda model: model not in needed)  # which keeps their order else
        return taking_part[: max(room, len(needed))]

    def concerned(self, session: S) -> list[str]:
        """Return the budgets of which a candidate took part in a session."""
        return [name for name, queue in self.queues.items() if not set(queue.models).isdisjoint(session.models)]

    def _having(self, model: str) -> list[str]:
        return [name for name, queue in self.queues.items() if model in queue.models]

    def _open(self, budget: str) -> list[str]:
        """Return the candidates that are open and may still be deployed: none after one that keeps the budget."""
        found = []
        for model in self.queues[budget].models:
            outcome = self._outcomes.get((budget, model))
            if outcome is None:
                found.append(model)
            elif outcome.decision.state == "kept":
                break
        return found
