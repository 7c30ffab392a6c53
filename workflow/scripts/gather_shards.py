"""Join a stage's shards and keep the first rows."""

from pathlib import Path

from foxnas import cli
from foxnas.files.shards import join
from foxnas.files.tables import write_table


def main(*, shards: list[Path], rows: int, table: Path) -> None:
    """Write the first `rows` rows of the shards, in order."""
    joined, made_by = join(shards, rows)
    write_table(table, joined, cli.made_by(__file__, {"rows": rows}, shards=made_by))


if __name__ == "__main__":
    cli.run(main)
