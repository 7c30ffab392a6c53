"""The registry of strategies, and all of them side by side."""

import typing

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.report.strategies import LOOKS, best_so_far
from foxnas.search.config import SearchConfig
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, exact, registry
from foxnas.search.strategies.annealing import AnnealingSettings
from foxnas.search.strategies.registry import STRATEGIES
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY


@pytest.fixture(scope="module")
def problem() -> SearchProblem:
    return SearchProblem(Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY}), 55.0)


def test_the_configuration_names_every_strategy():
    assert set(typing.get_args(SearchConfig.model_fields["strategy"].annotation)) == set(STRATEGIES)


def test_a_name_runs_its_strategy(problem):
    selection = Selection(count=3)
    found = registry.run("exact", problem, selection, np.random.default_rng(0))
    assert found == exact.search(problem, selection, np.random.default_rng(0))
    settings = AnnealingSettings(rounds=1, chains=4)
    found = registry.run("annealing", problem, selection, np.random.default_rng(0), annealing=settings)
    expected = AnnealingSettings(rounds=1, chains=4, selection=selection)
    assert found == annealing.search(problem, expected, np.random.default_rng(0))
    with pytest.raises(FoxnasError, match=r"'anealing' is unknown: take one of annealing, exact"):
        registry.run("anealing", problem, selection, np.random.default_rng(0))


@pytest.mark.parametrize("calls", [1000, 8000])
def test_strategies_run_side_by_side_with_about_equal_calls(problem, calls):
    found = dict(registry.side_by_side(problem, Selection(count=1), calls, seed=0))
    assert set(found) == set(LOOKS) == (set(STRATEGIES) - {"exact"}) | {registry.UNGUIDED}
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
