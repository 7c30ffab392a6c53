"""The subnets of an image size of which a device timed few, as its fits read them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from foxnas.files.tables import read_table
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray


@dataclass(frozen=True)
class Sampled:
    """All sampled subnets, those of them that can be fitted to with their latencies in ms, and how many were timed."""

    population: list[Arch]
    archs: list[Arch]
    latency_ms: FloatArray
    timed: int

    @property
    def flagged(self) -> int:
        """How many were timed and cannot be fitted to."""
        return self.timed - len(self.archs)

    @classmethod
    def read(cls, space: SearchSpace, table: Path, untimed: str) -> Self:
        """Read a table of latencies, in which `untimed` is the reason of the subnets that were not to be timed.

        Flagged ones are said in the log. Raises FoxnasError naming the file.
        """
        sampled = read_table(table, ["id", "arch", "latency_ms", "usable", "reason"])
        timed = sampled[sampled["reason"] != untimed]
        rows = timed[timed["usable"]]
        population, archs = ([space.parse(str(text)) for text in part["arch"]] for part in (sampled, rows))
        found = cls(population, archs, rows["latency_ms"].to_numpy(), len(timed))
        if found.flagged:
            logging.warning(
                "%s: %d of %d subnets are flagged and left out of the fit", table, found.flagged, len(timed)
            )
        return found
