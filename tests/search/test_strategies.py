"""The registry of strategies."""

import typing

import numpy as np
import pytest

from foxnas.errors import FoxnasError
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
