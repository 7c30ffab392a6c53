"""A space small enough to look at all of it, with predictors that have no structure to lean on."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np

from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.space.arch import Arch
from foxnas.space.costs import COSTS, CostTables
from foxnas.space.terms import formula
from tests.support.published import CPU_SPACE

#: Two units, without and with squeeze-and-excitation: 12,800 architectures.
SMALL = dataclasses.replace(
    CPU_SPACE,
    name="small",
    image_sizes=(32, 64),
    kernel_sizes=(3, 7),
    expansion_ratios=(2, 6),
    depths=(2, 3),
    units=CPU_SPACE.units[:2],
)


def random_landscape(seed: int, middle_ms: float = 100.0) -> Landscape:
    """Predictors of the small space with random coefficients, latencies about one in the middle."""
    rng = np.random.default_rng(seed)

    def predictors(name: str, scale: float, middle: float) -> dict[int, Predictor]:
        terms = formula(name, SMALL)
        return {
            size: Predictor.published(name, "", size, terms, middle, rng.normal(0, scale, len(terms.terms)))
            for size in SMALL.image_sizes
        }

    return Landscape(SMALL, predictors("accuracy", 0.3, 50.0), predictors("latency", 0.5, middle_ms))


UNITS = [unit for depth in SMALL.depths for unit in product(SMALL.layers(), repeat=depth)]


def everything() -> list[Arch]:
    """All architectures."""
    return [Arch(size, pair) for size in SMALL.image_sizes for pair in product(UNITS, repeat=2)]


def figures_of(archs: list[Arch], landscape: Landscape) -> dict[str, np.ndarray]:
    """Predictions and costs of architectures, one by one."""
    columns = {"accuracy": np.empty(len(archs)), "latency_ms": np.empty(len(archs))}
    for size in SMALL.image_sizes:
        rows = [i for i, arch in enumerate(archs) if arch.image_size == size]
        these = [archs[i] for i in rows]
        columns["accuracy"][rows] = landscape.accuracy[size].predict(these).mean
        columns["latency_ms"][rows] = landscape.latency[size].predict(these).mean
    return columns


def costs_of_all() -> dict[str, np.ndarray]:
    """Costs of `everything`, in its order."""
    tables = CostTables(SMALL, SMALL.image_sizes)
    parts = tables.of_units(UNITS)
    one, other = (grid.ravel() for grid in np.indices((len(UNITS), len(UNITS))))
    rows = []
    for size in range(len(SMALL.image_sizes)):
        pairs = np.stack([parts[size, 0, one], parts[size, 1, other]], axis=1)
        rows.append(tables.combine(np.full(len(pairs), size), pairs))
    return dict(zip(COSTS, np.concatenate(rows).T.astype(float), strict=True))
