"""Write down that the subnets of a further shard are not timed, on a device that times blocks."""

from pathlib import Path

from foxnas import cli
from foxnas.device.chosen import not_timed
from foxnas.files.tables import read_json, read_table, write_json, write_table
from foxnas.predictor.mix import BY_BLOCKS
from foxnas.space.space import SearchSpace


def main(*, made_by: cli.MadeBy, space: SearchSpace, subnets: Path, first: Path, table: Path, session: Path) -> None:
    """Write one row per subnet, with the reason; `first` is what is to be known of the first shard's sessions."""
    archs = [space.parse(str(text)) for text in read_table(subnets, ["id", "arch"])["arch"]]
    info = read_json(first, ("identity", "protocol", "made_from"))
    made_by |= {"identity": info["identity"]}
    write_json(session, {**info, "baseline_ms": None, "flagged": 0, "sessions": [], "made_by": made_by})
    write_table(table, not_timed(archs, BY_BLOCKS), made_by)


if __name__ == "__main__":
    cli.run(main)
