"""Subnets of a table ranked by a goal, within a budget and caps."""

from __future__ import annotations

from dataclasses import astuple

import pandas as pd

from foxnas.errors import FoxnasError
from foxnas.search.goal import MOST_ACCURATE, NO_CAPS, Caps, Figures, Goal
from foxnas.space.costs import COSTS, costs_of
from foxnas.space.space import SearchSpace


def with_costs(table: pd.DataFrame, space: SearchSpace) -> pd.DataFrame:
    """Return a table of subnets (`arch`) with their costs as further columns, named as in `COSTS`."""
    costs = [astuple(costs_of(space, space.parse(str(text)))) for text in table["arch"]]
    return table.join(pd.DataFrame(costs, columns=list(COSTS), index=table.index))


def best_under(
    measured: pd.DataFrame,
    target: str,
    budget_ms: float,
    count: int,
    goal: Goal = MOST_ACCURATE,
    caps: Caps = NO_CAPS,
) -> pd.DataFrame:
    """Return the `count` best subnets among those within the budget, best first.

    `target` is the column that the goal takes for accuracy. Caps, and goals of a user's own, need `with_costs`.
    """
    within = measured[measured["latency_ms"] <= budget_ms]
    within = within[goal.admits(figures(within, target), caps)]
    score = pd.Series(goal.scores(figures(within, target)), index=within.index)
    return within.loc[score.nlargest(count).index]


def best_measured(measured: pd.DataFrame, target: str, budget_ms: float, goal: Goal, caps: Caps) -> str:
    """Return the best architecture of `best_under`. Raises FoxnasError when there is none."""
    best = best_under(measured, target, budget_ms, 1, goal, caps)
    if best.empty:
        raise FoxnasError(
            f"of the {len(measured)} measured subnets none is within {budget_ms:.4g} ms, search.caps and "
            "search.objective.accuracy_floor, so the baseline has nothing to show; loosen one of them"
        )
    return str(best["arch"].iloc[0])


def figures(measured: pd.DataFrame, target: str) -> Figures:
    """Return the columns that a goal may look at, as far as the table has them."""
    columns = {"accuracy": measured[target].to_numpy(float), "latency_ms": measured["latency_ms"].to_numpy(float)}
    return columns | {name: measured[name].to_numpy(float) for name in COSTS if name in measured}
