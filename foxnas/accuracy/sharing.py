"""What neighbours in a sequence of networks have in common at their beginnings, so that it is computed once."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Output = TypeVar("Output")


@dataclass(frozen=True)
class Segment:
    """Steps in a row that the same networks have."""

    begin: int
    """The first of the steps, in its networks' own order."""
    end: int
    """The first step after them."""
    users: int
    """How many networks have it: this one and those that follow."""


def segments(networks: Sequence[Sequence[Hashable]]) -> list[list[Segment]]:
    """Return, for each network in turn, the segments that it does not share with the one before it.

    A network is given as its steps. Those that begin alike share where they are neighbours, so sort them first. The
    last step is always a network's own.
    """
    alike = [_common(*pair) for pair in itertools.pairwise(networks)]
    found = []
    for network, steps in enumerate(networks):
        begin = alike[network - 1] if network else 0
        # Where those that follow part from this one: as far as all between have come with it.
        parting = list(itertools.accumulate(alike[network:], min))
        ends = [begin, *sorted({end for end in parting if end > begin}), len(steps)]
        found.append(
            [Segment(*bounds, 1 + sum(end >= bounds[1] for end in parting)) for bounds in itertools.pairwise(ends)]
        )
    return found


def _common(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Return how many steps two networks begin alike with, their last ones apart."""
    pairs = zip(one[:-1], other[:-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


class Trail(Generic[Output]):
    """What the shared segments of the network at hand have made, each to be gone on from."""

    def __init__(self, beginning: Output) -> None:
        self._made = [(0, beginning)]

    def before(self, segment: Segment) -> Output:
        """Return what it goes on from, and let go of all that lies behind."""
        while self._made[-1][0] > segment.begin:
            self._made.pop()
        return self._made[-1][1]

    def keep(self, segment: Segment, output: Output) -> None:
        """Keep what it made for those that go on from it."""
        self._made.append((segment.end, output))

    def __iter__(self) -> Iterator[Output]:
        return (output for _, output in self._made)
