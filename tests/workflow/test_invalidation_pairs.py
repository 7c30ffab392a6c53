"""Two numbers of a section that exchange values: what runs again is what either of them alone would.

Snakemake compares params as a set of values without names, so this is what a rule with a param a number would miss. The
runs are finished with placeholders; `test_invalidation.py` says what that means.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from foxnas.config.whole import load_config
from foxnas.errors import FoxnasError
from tests.support.dag import DryRuns
from tests.support.invalidation import BASES, NOTHING, ROWS, Row, changed

#: The base, and below what its pairs lie. `own` trains its supernet.
WALKED = [("tiny", ""), ("own", "supernet.training")]


def numbers(config: Any, path: str = "") -> Iterator[tuple[str, dict[str, int | float]]]:
    """The sections of a config, with the numbers that each has itself."""
    entries = enumerate(config) if isinstance(config, list) else config.items()
    here, below = {}, []
    for name, value in entries:
        if isinstance(value, dict | list):
            below.append((name, value))
        elif isinstance(config, dict) and isinstance(value, int | float) and not isinstance(value, bool):
            here[str(name)] = value
    yield path, here
    for name, value in below:
        yield from numbers(value, f"{path}.{name}".lstrip("."))


def leaf(path: str) -> str:
    """The leaf as the schema has it."""
    return Row(path, None, NOTHING).leaf


def row_of(path: str, base: str) -> Row:
    """The row that says what the leaf costs, of this base if it can be."""
    wanted = "a supernet trained here" if base == "own" else "a checkpoint"
    return max((row for row in ROWS if row.leaf == leaf(path)), key=lambda row: (row.note == wanted, row.base == base))


def pairs() -> list[tuple[str, str, dict[str, int | float]]]:
    """Base, name and changes of every pair whose values differ and may change places."""
    found = []
    for base, below in WALKED:
        config = BASES[base].config()
        for section, values in numbers(config):
            if not section.startswith(below) or (base == "tiny" and section.startswith("supernet.training")):
                continue
            for one, other in combinations(values, 2):
                lines = {f"{section}.{one}": values[other], f"{section}.{other}": values[one]}
                try:
                    load_config(changed(config, lines), "pair")
                except (AssertionError, FoxnasError):  # they are equal, or not both allowed there
                    continue
                found.append((base, f"{section}: {one} and {other}", lines))
    return found


PAIRS = pairs()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DryRuns, dict[str, Path]]]:
    folders = {base: tmp_path_factory.mktemp(base) for base, _ in WALKED}
    with DryRuns() as dry_runs:
        for name, folder in folders.items():
            BASES[name].bring(folder)
            dry_runs.pretend(folder, BASES[name].config())
        yield dry_runs, folders


def test_there_are_pairs_in_every_section_of_several_numbers() -> None:
    sections = {name.partition(":")[0] for _, name, _ in PAIRS}
    assert {"space", "data.splits", "supernet.training", "search.annealing", "accuracy"} <= sections
    assert {"devices.0.protocol", "devices.0.patience", "search"} <= sections


@pytest.mark.parametrize(("base", "name", "lines"), PAIRS, ids=[f"{base}, {name}" for base, name, _ in PAIRS])
def test_swapped_numbers_rerun_what_either_would(
    base: str, name: str, lines: dict[str, Any], finished: tuple[DryRuns, dict[str, Path]]
) -> None:
    dry_runs, folders = finished
    plan = dry_runs.plan(folders[base], changed(BASES[base].config(), lines))
    rows = [row_of(path, base) for path in lines]  # of whichever device: there is one
    assert set(plan.runs) == set().union(*(row.stage.among(plan.jobs, {}) for row in rows))
