"""What somebody names by a target: an architecture, whose text is the name of a folder, and budgets.

Imported while the DAG is built: nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import PurePath
from typing import Any

from snakemake.io import expand

from foxnas.space.space import SearchSpace

#: What the wildcard ``arch`` may be: a folder's name in ASCII without spaces. Whether it is an architecture's text
#: `at_its_size` asks, who says what is wrong with it; a narrower pattern would end in Snakemake's "No rule to produce".
ARCH = r"[!-.0-~]+"


def at_its_size(space: SearchSpace, pattern: str) -> Callable[[Any], str]:
    """Return the input function of a file of the image size that the wildcard ``arch`` has.

    It raises FoxnasError, naming the knob, for an architecture that is not of the space.
    """
    return lambda wildcards: pattern.replace("{size}", str(space.parse(wildcards.arch).image_size))


def budgets(targets: Collection[str], names: Iterable[str]) -> list[str]:
    """Return the budgets that the targets name as folders; all where there are no targets, or one names none."""
    every, parts = list(names), [set(PurePath(target).parts) for target in targets]
    if not parts or any(words.isdisjoint(every) for words in parts):
        return every
    return [name for name in every if any(name in words for words in parts)]


def of_budgets(
    targets: Callable[[], Collection[str]], names: Iterable[str], patterns: str | list[str]
) -> Callable[[Any], list[str]]:
    """Return the input function of paths with the wildcard ``budget``, of every budget that the targets name.

    A function, since targets are not known while rules are read.
    """
    every = list(names)
    return lambda wildcards: expand(patterns, budget=budgets(targets(), every), **dict(wildcards.items()))
