"""Join what the supernets of all folds say of a shard of subnets."""

from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.accuracy.folds import pooled, read_fold
from foxnas.accuracy.outcomes import COLUMNS, write_outcomes
from foxnas.files.tables import read_provenance, write_table
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
    found = [read_fold(*pair) for pair in zip(tables, parts, strict=True)]
    names = list(found[0])
    scored = [pooled([one[name][1] for one in found]) for name in names]
    write_outcomes(outcomes, names, scored)
    rows = [{"id": name, "arch": found[0][name][0], **one.row()} for name, one in zip(names, scored, strict=True)]
    folds = [read_provenance(path) for path in tables]
    write_table(table, pd.DataFrame(rows, columns=COLUMNS), made_by | {"folds": folds})


if __name__ == "__main__":
    cli.run(main)
