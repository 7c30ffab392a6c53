"""Table of candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace

import pandas as pd

from foxnas.search.landscape import Landscape
from foxnas.search.problem import Candidate
from foxnas.search.selection import describe
from foxnas.space.arch import Arch

#: Of the table of candidates.
COLUMNS = ["id", "arch", "source", *(field.name for field in fields(Candidate) if field.name != "arch")]


def candidate_rows(found: Iterable[tuple[str, Candidate]]) -> pd.DataFrame:
    """Return one row per architecture and where it came from; of equal architectures the first stays."""
    rows = []
    for source, candidate in found:
        fields = asdict(candidate)
        del fields["arch"]
        rows.append({"id": candidate.arch.id, "arch": candidate.arch.text, "source": source, **fields})
    return pd.DataFrame(rows, columns=COLUMNS).drop_duplicates("id", ignore_index=True)


def describe_as_they_are(landscape: Landscape, archs: Sequence[Arch]) -> list[Candidate]:
    """Return the predictions for given architectures, which keep the order of their layers."""
    described = describe(landscape, [landscape.point_of(arch) for arch in archs])
    return [replace(candidate, arch=arch) for candidate, arch in zip(described, archs, strict=True)]
