"""Join a stage's shards and keep the first rows."""

from pathlib import Path

from foxnas import command
from foxnas.shards import join
from foxnas.tables import write_table


def main(*, shards: list[Path], rows: int, table: Path) -> None:
    """Write the first `rows` rows of the shards, in order."""
    joined, made_by = join(shards, rows)
    write_table(table, joined, command.made_by(__file__, {"rows": rows}, shards=made_by))


if __name__ == "__main__":
    command.run(main)
