"""Join a stage's shards and keep the first rows."""

from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_table
from foxnas.space.pooling import gather


def main(*, made_by: cli.MadeBy, shards: list[Path], rows: int, table: Path) -> None:
    """Write the first `rows` rows of the shards, in order."""
    joined, made = gather(shards, rows)
    write_table(table, joined, made_by | {"shards": made})


if __name__ == "__main__":
    cli.run(main)
