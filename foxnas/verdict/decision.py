"""Decides whether a model keeps its latency promise, from the medians of separate device sessions.

A session's median is a draw from whatever the machine does from session to session: its clock, memory layout and
neighbours. The promise is about the median of those draws. Bounds of it are order statistics (Conover, Practical
Nonparametric Statistics, 3.2): of n sessions, the r-th largest lies below the median with the probability that of n
fair coins fewer than r show heads, whatever the distribution. A session gone wrong costs one rank, not its size.

What all sessions of a validation share does not show in their spread: a clock that ran 2% faster for those minutes
makes every one of them too fast. The reference model, timed in each session, shares it, and what it usually takes is
known from the time when the device was sampled. So each bound is taken twice, of the medians as they are and of the
medians as they would be with the references at their usual, and the wider one counts: neither a clock that
happened to be fast nor one that stays slow is promised away.

Sessions are added while nothing is decided, and the rule looks again whenever they have doubled. The error is spent
over the looks (Lan and DeMets, Biometrika 70, 1983): after the k-th, at most `ERROR` (1 - 3^-k) of it. Where the
budget lies between the two kinds of medians after the second look, the rule stops: bounds close in on both, so that
sessions like these leave the promise open however many there are. To stop undecided adds no error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Literal

State = Literal["kept", "not kept", "undecided"]
ERROR = 0.05
"""How often, at most, a model is called kept that is not, and how often the other way round."""


@dataclass(frozen=True)
class Decision:
    """What is known of a promise: its state, the bounds that decide it, and why it is undecided (else empty)."""

    state: State
    lower: float
    upper: float
    reason: str = ""


def state_of(lower: float, upper: float, limit: float) -> State:
    """Return what two bounds say of a limit that is not to be exceeded."""
    return "kept" if upper <= limit else "not kept" if lower > limit else "undecided"


def looks(sessions: int, least_sessions: int) -> list[int]:
    """Return after how many sessions the rule looks: the least, whenever they have doubled, and at the end."""
    doublings = range(max(math.ceil(math.log2(max(sessions / least_sessions, 1))), 0))
    return [*(least_sessions << k for k in doublings), sessions]


def is_look(sessions: int, least_sessions: int) -> bool:
    """Return whether the rule looks after so many sessions though more may follow."""
    return sessions % least_sessions == 0 and (sessions // least_sessions).bit_count() == 1


def is_over(
    session_medians_ms: Sequence[float],
    budget_ms: float,
    references_ms: Sequence[float],
    baseline_ms: float | None,
    least_sessions: int,
) -> bool:
    """Return whether no session need follow these: the rule looks, and finds a promise decided, or divided."""
    n = len(session_medians_ms)
    if not is_look(n, least_sessions):
        return False
    found = decide(session_medians_ms, budget_ms, references_ms, baseline_ms, least_sessions)
    hopeless = n > least_sessions and is_divided(session_medians_ms, budget_ms, references_ms, baseline_ms)
    return found.state != "undecided" or hopeless


def is_divided(
    session_medians_ms: Sequence[float], budget_ms: float, references_ms: Sequence[float], baseline_ms: float | None
) -> bool:
    """Return whether the budget lies between the median of the sessions and that with the references at their usual."""
    as_usual = _as_usual(session_medians_ms, references_ms, baseline_ms)
    return (median(session_medians_ms) <= budget_ms) != (median(as_usual) <= budget_ms)


def rank(sessions: int, least_sessions: int) -> tuple[int, float]:
    """Return which largest session is the bound at the last look, 0 when none may be, and the error spent by then."""
    found, spent = 0, 0.0
    for k, n in enumerate(looks(sessions, least_sessions), 1):
        allowed, tail, found, used = ERROR * (1 - 3.0**-k) - spent, 0.0, 0, 0.0
        while (tail := tail + math.comb(n, found) / 2**n) <= allowed:
            found, used = found + 1, tail
        spent += used
    return found, spent


def decide(
    session_medians_ms: Sequence[float],
    budget_ms: float,
    references_ms: Sequence[float],
    baseline_ms: float | None,
    least_sessions: int,
) -> Decision:
    """Return whether a model's latency is within the budget.

    Parameters
    ----------
    session_medians_ms
        Of undisturbed sessions, in any order.
    references_ms
        The reference model's median in each of them.
    baseline_ms
        What the reference model usually takes; None where it is not known, and then nothing tells what the sessions
        share.
    least_sessions
        When the rule looks first; see `looks`.
    """
    n = len(session_medians_ms)
    as_usual = _as_usual(session_medians_ms, references_ms, baseline_ms)
    place = rank(n, least_sessions)[0] if n else 0
    if not place:
        every = [*session_medians_ms, *as_usual] or [math.nan]
        return Decision("undecided", min(every), max(every), _too_few(n, least_sessions))
    sides = [sorted(session_medians_ms), sorted(as_usual)]
    lower, upper = min(side[place - 1] for side in sides), max(side[-place] for side in sides)
    state = state_of(lower, upper, budget_ms)
    if state != "undecided":
        return Decision(state, lower, upper)
    said = {state_of(side[place - 1], side[-place], budget_ms) for side in sides}
    reason = f"after {n} sessions the median lies between {lower:.4g} and {upper:.4g} ms"
    if len(said) > 1 and baseline_ms:
        drift = 100 * (median(references_ms) / baseline_ms - 1)
        reason += (
            f", for the references take {abs(drift):.1f}% {'more' if drift > 0 else 'less'} than when it was sampled"
        )
    return Decision(state, lower, upper, reason)


def _as_usual(
    session_medians_ms: Sequence[float], references_ms: Sequence[float], baseline_ms: float | None
) -> list[float]:
    """Return the medians as they would be with each session's references at their usual."""
    pairs = zip(session_medians_ms, references_ms, strict=True)
    return [ms * baseline_ms / reference if baseline_ms else ms for ms, reference in pairs]


def _too_few(sessions: int, least_sessions: int) -> str:
    """Return why no bound may be taken after so many sessions, and after how many one may."""
    enough = next(n for n in count(max(sessions, 1)) if rank(n, least_sessions)[0])
    if sessions and rank(sessions, least_sessions)[1]:  # the look before has spent what a bound would need
        return (
            f"after {least_sessions} undisturbed sessions it was open, and after {sessions} it is too soon for another "
            f"bound, which takes {enough}"
        )
    return (
        f"{sessions} undisturbed session{' is' if sessions == 1 else 's are'} too few for a bound, which takes {enough}"
    )
