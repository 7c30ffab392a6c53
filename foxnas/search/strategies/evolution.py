"""Evolution as in Once-for-All (Cai et al., ICLR 2020): the best quarter breeds by mutation and crossover.

The settings' defaults are those of Once-for-All's `EvolutionFinder`, which this follows: half of the children are
mutations of a random parent, every gene drawn anew with a small probability (the image size with one of its own); the
other half take each gene from one of two random parents. Theirs repeats a child until it is feasible, without end;
here a child that is still infeasible after `tries` is replaced by a copy of its parent.
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
from foxnas.search.strategies.genome import Genome
from foxnas.space.terms import FloatArray


@dataclass(frozen=True)
class EvolutionSettings:
    """Settings of evolution.

    Attributes
    ----------
    population
        Architectures of a generation.
    generations
        How many are bred.
    parent_share
        The best share of a generation, which breeds and lives on.
    mutated_share
        Share of the children that are mutations; the others are crossings.
    mutation_probability
        With which a mutation draws each gene anew.
    size_mutation_probability
        With which it draws the image size anew.
    tries
        How often an infeasible architecture is drawn anew.
    selection
        Which architectures become candidates.
    """

    population: int = 100
    generations: int = 500
    parent_share: float = 0.25
    mutated_share: float = 0.5
    mutation_probability: float = 0.1
    size_mutation_probability: float = 0.5
    tries: int = 20
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("population", "generations", "tries"):
            if getattr(self, name) < 1:
                raise FoxnasError(f"evolution: {name} {getattr(self, name)} must be at least 1")
        for name in ("parent_share", "mutated_share", "mutation_probability", "size_mutation_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise FoxnasError(f"evolution: {name} {getattr(self, name)} must be between 0 and 1")
        if round(self.parent_share * self.population) < 1:
            raise FoxnasError(
                f"evolution: parent_share {self.parent_share} of a population of {self.population} is nobody; raise one"
            )


def search(problem: SearchProblem, settings: EvolutionSettings, rng: np.random.Generator) -> SearchResult:
    """Return the best architectures that evolution bred. Reproducible by the generator's seed. Raises Infeasible."""
    genome, record = Genome(problem.landscape), Record(problem, settings.selection)
    starts = genome.encode(record.starts())
    mutation = np.full(len(genome.choices), settings.mutation_probability)
    mutation[0] = settings.size_mutation_probability
    mutated = round(settings.mutated_share * settings.population)
    parents = round(settings.parent_share * settings.population)
    genes, values = first_generation(genome, record, starts, settings.population, settings.tries, rng)
    for _ in range(settings.generations):
        best = np.argsort(-values, kind="stable")[:parents]
        genes, values = genes[best], values[best]

        def breed(rows: IndexArray, genes: IndexArray = genes) -> IndexArray:
            one, other = genes[rng.integers(parents, size=(2, len(rows)))]
            crossed = np.where(rng.random(one.shape) < 0.5, one, other)
            return np.where((rows < mutated)[:, None], genome.mutate(one, mutation, rng), crossed)

        of_parents = rng.integers(parents, size=settings.population)
        children, found = draw_feasible(breed, genes[of_parents], values[of_parents], genome, record, settings.tries)
        genes, values = np.concatenate([genes, children]), np.concatenate([values, found])
    return record.finish("evolution")


def first_generation(
    genome: Genome, record: Record, starts: IndexArray, population: int, tries: int, rng: np.random.Generator
) -> tuple[IndexArray, FloatArray]:
    """Return random feasible genes, uniform over knobs, and their values.

    Where none is found within `tries`, as under a tight budget, a mutation of a feasible start takes its place.
    """
    begun = starts[np.arange(population) % len(starts)]
    values = record.see(*genome.decode(starts))[np.arange(population) % len(starts)]
    drawn = draw_feasible(lambda rows: genome.draw(len(rows), rng), begun, values, genome, record, tries)
    stuck = np.flatnonzero((drawn[0] == begun).all(axis=1))
    few = np.full(len(genome.choices), 2 / len(genome.choices))
    near = draw_feasible(
        lambda rows: genome.mutate(begun[stuck][rows], few, rng), begun[stuck], values[stuck], genome, record, tries
    )
    drawn[0][stuck], drawn[1][stuck] = near
    return drawn


def draw_feasible(
    draw: Callable[[IndexArray], IndexArray],
    fallback: IndexArray,
    fallback_values: FloatArray,
    genome: Genome,
    record: Record,
    tries: int,
) -> tuple[IndexArray, FloatArray]:
    """Return genes and values of one feasible draw for each row of `fallback`, which stays where `tries` found none.

    `draw` is given the rows to draw.
    """
    genes, values = fallback.copy(), fallback_values.copy()
    rows = np.arange(len(genes))
    for _ in range(tries):
        if not len(rows):
            break
        drawn = draw(rows)
        found = record.see(*genome.decode(drawn))
        kept = found > -np.inf
        genes[rows[kept]], values[rows[kept]] = drawn[kept], found[kept]
        rows = rows[~kept]
    return genes, values
