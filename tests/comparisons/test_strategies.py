"""All strategies side by side: equal calls, and the figure that shows them."""

import numpy as np
import pandas as pd
import pytest

from comparisons.report.strategies import LOOKS, best_so_far
from comparisons.strategies.side_by_side import UNGUIDED, side_by_side
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies.registry import STRATEGIES


@pytest.fixture(scope="module")
def problem(published) -> SearchProblem:
    return SearchProblem(published, 55.0)


@pytest.mark.parametrize("calls", [1000, 8000])
def test_strategies_run_side_by_side_with_about_equal_calls(problem, calls):
    found = dict(side_by_side(problem, Selection(count=1), calls, seed=0))
    assert set(found) == set(LOOKS) == (set(STRATEGIES) - {"exact"}) | {UNGUIDED}
    for name, result in found.items():
        # A knob that is given the value it has costs no call; infeasible children come on top,
        # and what the first generation of an evolution draws until all of it is feasible.
        assert calls / 4 < result.calls < 2.5 * calls + 3000, name
        assert result.best.latency_ms <= 55
    assert found["annealing"].best.accuracy > found["random"].best.accuracy


def test_best_so_far_keeps_each_seeds_last_rise():
    table = pd.DataFrame({"seed": [0, 0, 0, 1, 1], "calls": [1, 5, 9, 3, 4], "best": [1.0, 2.0, 2.0, 7.0, 8.0]})
    found = best_so_far(table, np.array([1.0, 4.0, 5.0, 100.0]))
    np.testing.assert_array_equal(found, [[1, 1, 2, 2], [np.nan, 8, 8, 8]])
