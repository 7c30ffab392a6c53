"""Twists on the page: what was changed of the best candidate, why, and with what result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foxnas.int8.scored import COLUMNS, MEASURES
from foxnas.report.data import BudgetRun
from foxnas.report.numbers import milliseconds, p_value, signed, significant

#: Moves the page lists of either end: most accuracy gained, most latency saved.
_LISTED = 12


@dataclass(frozen=True)
class Twist:
    """The moves of one budget.

    Attributes
    ----------
    sentence
        What was changed and why, and what was measured.
    moves
        The moves that promise most accuracy and those that save most time, as in the file.
    listed
        Of how many.
    tried
        Ids of the moves that were measured.
    """

    budget: str
    sentence: str
    moves: list[Mapping[str, Any]]
    listed: int
    tried: frozenset[str]


def describe_twist(budget: BudgetRun) -> Twist:
    """Return what the page says of one budget's twist. The budget must have one."""
    assert budget.twist is not None
    moves = list(budget.twist["moves"])
    tried = frozenset(budget.twist["tried"])
    fastest = sorted(moves, key=lambda move: move["latency"]["value"])[:_LISTED]
    shown = [move for i, move in enumerate(moves) if i < _LISTED or move in fastest or move["id"] in tried]
    return Twist(budget.name, _sentence(budget, budget.twist), shown, len(moves), tried)


def _sentence(budget: BudgetRun, twist: Mapping[str, Any]) -> str:
    base, slack_ms = twist["base"], twist["slack_ms"]
    percent = f"{abs(100 * slack_ms / budget.budget_ms):.1f}%"
    left = (
        f"The best candidate of the search left {significant(slack_ms)} ms ({percent}) of the budget less its margin."
        if slack_ms >= 0
        else f"The best candidate of the search missed the budget less its margin by {significant(-slack_ms)} ms "
        f"({percent})."
    )
    if not twist["tried"]:
        return f"{left} None of {len(twist['moves'])} single-knob moves promises a gain within that, so none was tried."
    by_id = {move["id"]: move for move in twist["moves"]}
    measured = budget.verified.set_index("id")
    said = [_outcome(by_id[name], base, measured.loc[name], budget) for name in twist["tried"]]
    return f"{left} Of {len(twist['moves'])} single-knob moves, tried: {'; '.join(said)}."


def _outcome(move: Mapping[str, Any], base: Mapping[str, Any], row: Any, budget: BudgetRun) -> str:
    accuracy, latency, won = move["accuracy"], move["latency"], budget.winner["id"] == row.name
    p = p_value(move["accuracy_p_holm"])
    gained = row[COLUMNS[budget.chosen_by]] - base[COLUMNS[budget.chosen_by]]
    slower_ms = row["latency_ms"] - base["latency_ms"]
    return (
        f"{move['text']}, which promised {signed(accuracy['value'])} points (95% interval "
        f"{signed(accuracy['lower'])} to {signed(accuracy['upper'])}, p after Holm {p}) for "
        f"{_signed_ms(latency['value'])} ms, and measured {signed(gained)} points "
        f"({MEASURES[budget.chosen_by]}, int8, verify split) for "
        f"{_signed_ms(slower_ms)} ms: {'it is deployed' if won else 'not deployed'}"
    )


def _signed_ms(value: float) -> str:
    return ("+" if value >= 0 else "") + milliseconds(value)
