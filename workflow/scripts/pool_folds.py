"""Join what the supernets of all folds say of a shard of subnets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.accuracy.folds import pooled
from foxnas.accuracy.outcomes import COLUMNS, Outcome, read_outcomes, write_outcomes
from foxnas.files.tables import read_provenance, read_table, write_table
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    sample: SampleConfig,
    tables: list[Path],
    parts: list[Path],
    table: Path,
    outcomes: Path,
) -> None:
    """Write the accuracies and outcomes over the images of all folds, in the subnets' order."""
    found = [_outcomes(*pair) for pair in zip(tables, parts, strict=True)]
    names = list(found[0])
    scored = [pooled([one[name][1] for one in found]) for name in names]
    write_outcomes(outcomes, names, scored)
    rows = [{"id": name, "arch": found[0][name][0], **one.row()} for name, one in zip(names, scored, strict=True)]
    folds = [read_provenance(path) for path in tables]
    write_table(table, pd.DataFrame(rows, columns=COLUMNS), made_by | {"folds": folds})


def _outcomes(table: Path, part: Path) -> dict[str, tuple[str, Outcome]]:
    """Return architecture and outcome of every subnet of a fold, by its id."""
    rows = read_table(table, COLUMNS)
    names = list(rows["id"])
    if not names:
        return {}
    seen = read_outcomes([part], names)
    found: dict[str, tuple[str, Outcome]] = {}
    for row, right, probability in zip(rows.to_dict("records"), seen["top1"], seen["probability"], strict=True):
        fields: dict[str, Any] = {str(name): value for name, value in row.items() if name not in ("id", "arch")}
        found[row["id"]] = (
            str(row["arch"]),
            Outcome(**fields, correct=np.packbits(right), probability_folds=probability),
        )
    return found


if __name__ == "__main__":
    cli.run(main)
