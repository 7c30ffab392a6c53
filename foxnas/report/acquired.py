"""Rounds of acquisition, as the page shows them, read from their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from foxnas.accuracy.outcomes import TARGETS
from foxnas.files.tables import read_json, read_provenance, read_table

#: Columns of what is promised of a subnet's accuracy: the prediction, and the ends of its 95% interval.
PROMISED = ["accuracy", "accuracy_lower", "accuracy_upper"]


@dataclass(frozen=True, eq=False)
class AcquiredRound:
    """A round of acquisition: what was promised of its subnets, what was measured, and what led to it."""

    name: str
    subnets: pd.DataFrame
    """Promises, as of candidates, and `measured`, in percent."""
    gaps: Sequence[float]
    """Predicted accuracy of the optimum less the best measured before the round, at every budget and reserve."""
    agreed: bool
    """Whether these were small enough to measure nothing more."""


def read_round(name: str, files: Mapping[str, Path]) -> AcquiredRound:
    """Read the files of a round. Raises FoxnasError naming the first that is missing, damaged or of another version."""
    promised, found = read_table(files["subnets"], ["id", "source", *PROMISED]), read_table(files["accuracy"], ["id"])
    agreement = read_json(files["agreement"], ("gaps", "agreed"))
    target = TARGETS[read_provenance(files["subnets"])["settings"]["target"]]
    both = promised.merge(found[["id", target]].rename(columns={target: "measured"}), on="id")
    return AcquiredRound(name, both, [one["points"] for one in agreement["gaps"]], bool(agreement["agreed"]))
