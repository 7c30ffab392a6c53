"""Regularised evolution (Real et al., AAAI 2019): the oldest dies, not the worst, so that nothing lives by luck alone.

In each cycle a random sample of the population holds a tournament, its best member has one mutated child, and the
oldest member makes room. Two departures: several tournaments are held in a cycle, which numpy needs to be fast, and a
mutation changes up to a few genes, because under a budget one gene can seldom change alone: what is gained here has
to be paid for there. With `children` and `mutations` of 1 the algorithm is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.search.landscape import IndexArray
from foxnas.search.problem import SearchProblem, SearchResult
from foxnas.search.record import Record
from foxnas.search.selection import Selection
from foxnas.search.strategies.evolution import draw_feasible, first_generation
from foxnas.search.strategies.genome import Genome


@dataclass(frozen=True)
class RegularisedSettings:
    """Settings of regularised evolution; `population` is that of the paper.

    Attributes
    ----------
    population
        Architectures that live at a time.
    sample
        Members of a tournament.
    mutations
        Largest number of genes in which a child differs from its parent; the least is 1.
    children
        How many are born and die in a cycle.
    cycles
        Number of cycles.
    tries
        How often an infeasible child is drawn anew.
    selection
        Which architectures become candidates.
    """

    population: int = 100
    sample: int = 10
    mutations: int = 4
    children: int = 10
    cycles: int = 2000
    tries: int = 3
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("population", "sample", "mutations", "children", "cycles", "tries"):
            if getattr(self, name) < 1:
                raise FoxnasError(f"regularised evolution: {name} {getattr(self, name)} must be at least 1")
        for name in ("sample", "children"):
            if getattr(self, name) > self.population:
                raise FoxnasError(
                    f"regularised evolution: {name} {getattr(self, name)} is more than the population, "
                    f"{self.population}; lower it"
                )


def search(problem: SearchProblem, settings: RegularisedSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best architectures that lived. Reproducible by the generator's seed. Raises Infeasible."""
    genome, record = Genome(problem.landscape), Record(problem, settings.selection)
    starts = genome.encode(record.starts())
    genes, values = first_generation(genome, record, starts, settings.population, settings.tries, rng)
    born, oldest = settings.children, 0
    for _ in range(settings.cycles):
        entrants = rng.random((born, settings.population)).argpartition(settings.sample - 1)[:, : settings.sample]
        parents = entrants[np.arange(born), values[entrants].argmax(axis=1)]
        breed = _mutate_few_genes(genome, genes[parents], settings.mutations, rng)
        children, found = draw_feasible(breed, genes[parents], values[parents], genome, record, settings.tries)
        # A ring in order of birth: the children take the places of the oldest.
        dying = (oldest + np.arange(born)) % settings.population
        genes[dying], values[dying] = children, found
        oldest = (oldest + born) % settings.population
    return record.finish("regularised")


def _mutate_few_genes(
    genome: Genome, parents: IndexArray, most: int, rng: np.random.Generator
) -> Callable[[IndexArray], IndexArray]:
    """Return a function that gives rows of `parents` with 1 to `most` genes of each changed to other choices."""
    several = np.flatnonzero(genome.choices > 1)

    def breed(rows: IndexArray) -> IndexArray:
        children = parents[rows]
        number = rng.integers(1, most + 1, size=len(rows))
        for change in range(most):
            changing = np.flatnonzero(change < number)
            gene = several[rng.integers(len(several), size=len(changing))]
            shift = 1 + rng.integers(genome.choices[gene] - 1)
            children[changing, gene] = (children[changing, gene] + shift) % genome.choices[gene]
        return children

    return breed
