"""AutoShrink: its graph of choices, and problems whose optimum is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.search.problem import SearchProblem
from foxnas.search.strategies import autoshrink
from foxnas.search.strategies.autoshrink import AutoShrinkSettings, Graph, best_of
from foxnas.search.strategies.genome import Genome
from tests.support.small_problem import everything, figures_of, random_landscape

ARCHS = everything()


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_of_brute_force_is_found_or_nearly(seed: int, share: float) -> None:
    landscape = random_landscape(seed)
    predicted = figures_of(ARCHS, landscape)
    budget_ms = float(np.quantile(predicted["latency_ms"], share))
    within = predicted["accuracy"][predicted["latency_ms"] <= budget_ms]
    found = autoshrink.search(SearchProblem(landscape, budget_ms), AutoShrinkSettings(), np.random.default_rng(seed))
    assert found.best.latency_ms <= budget_ms
    # Of 12,800 architectures, one of the best thousandth; where the budget forbids none, the best.
    assert (within > found.best.accuracy + 1e-9).sum() <= (0.001 * len(within) if share < 1 else 0)
    assert 0.3 * 10_000 < found.calls <= 10_000 * 1.05


def test_shrinking_ends_at_one_architecture_and_looks_at_what_is_left_only(monkeypatch: pytest.MonkeyPatch) -> None:
    landscape = random_landscape(1)
    seen: list[Graph] = []
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    draw = Graph.draw

    def noted(graph: Graph, count: int, rng: np.random.Generator) -> np.ndarray:
        genes = draw(graph, count, rng)
        seen.append(graph)
        drawn.append((graph.left.copy(), genes))
        return genes

    monkeypatch.setattr(Graph, "draw", noted)
    found = autoshrink.search(SearchProblem(landscape), AutoShrinkSettings(calls=2000), np.random.default_rng(0))
    assert sum(len(genes) for _, genes in drawn) == found.calls
    for (left, genes), (after, _) in pairwise(drawn):
        assert (left & ~after).sum() == 1
        assert not (after & ~left).any()
        assert left[np.arange(genes.shape[1]), genes].all()
    last = Genome(landscape).decode(draw(seen[-1], 50, np.random.default_rng(1)))
    assert len(set(landscape.batch(*last).points)) == 1


def test_draws_are_uniform_over_what_is_left_of_each_knob() -> None:
    graph = Graph(Genome(random_landscape(0)))
    graph.left[0, 0] = graph.left[3, 1] = False
    genes = graph.draw(4000, np.random.default_rng(0))
    assert (genes[:, 0] == 1).all()
    assert (genes[:, 3] == 0).all()
    others = [gene for gene in range(genes.shape[1]) if gene not in (0, 3)]
    assert np.abs(genes[:, others].mean(axis=0) - 0.5).max() < 0.04


def test_the_edge_that_the_best_do_without_goes_first() -> None:
    genome = Genome(random_landscape(0))
    graph = Graph(genome)
    genes = graph.draw(4000, np.random.default_rng(0))
    # E of unit 1's third layer, which only those of depth 3 have: of them the best avoid the larger. Half of the others
    # are among the best, whatever they have there.
    deep, large, half = genes[:, 1] == 1, genes[:, 7] == 1, np.arange(len(genes)) % 2 == 0
    assert graph.weakest(genes, np.where(deep, ~large, half)) == (7, 1)
    # Without that depth, nothing leads there any more; and its knobs are no choices left.
    graph.left[1, 1] = False
    kept = genes[genes[:, 1] == 0]
    gene, _ = graph.weakest(kept, np.arange(len(kept)) % 2 == 0) or (0, 0)
    assert gene not in (1, 6, 7)
    graph.left[:, 1] = False
    graph.left[6:8] = True
    assert graph.weakest(kept, np.ones(len(kept), dtype=bool)) is None


def test_best_is_by_value_and_then_by_excess() -> None:
    values, excess = np.array([1.0, 3.0, -np.inf, 2.0, -np.inf]), np.array([0.0, 0.0, 0.3, 0.0, 0.1])
    for share, best in ((0.2, [1]), (0.4, [1, 3]), (0.6, [0, 1, 3]), (0.8, [0, 1, 3, 4]), (0.01, [1])):
        assert np.flatnonzero(best_of(values, excess, share)).tolist() == best


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"calls": 0}, {"best_share": 0.0}, {"best_share": 1.0}):
        with pytest.raises(FoxnasError, match=f"autoshrink: {next(iter(wrong))}"):
            AutoShrinkSettings(**wrong)  # type: ignore[arg-type]
