"""Join a stage's shards and keep the first rows."""

from pathlib import Path

import pandas as pd

from foxnas import command
from foxnas.errors import FoxnasError
from foxnas.tables import read_provenance, read_table, write_table


def main(*, shards: list[Path], rows: int, table: Path) -> None:
    """Write the first `rows` rows of the shards, in order."""
    joined = pd.concat([read_table(shard, ["id", "arch"]) for shard in shards], ignore_index=True).head(rows)
    if len(joined) < rows:
        raise FoxnasError(f"{table}: the shards hold {len(joined)} rows, {rows} are needed; delete them and run again")
    if (repeated := joined["id"].duplicated()).any():
        twice = joined["id"][repeated].iloc[0]
        raise FoxnasError(f"{table}: subnet {twice} occurs twice in the shards; delete them and run again")
    write_table(table, joined, command.made_by(__file__, {"rows": rows}, shards=[read_provenance(s) for s in shards]))


if __name__ == "__main__":
    command.run(main)
