"""Put the winner's compiled file beside it."""

from pathlib import Path

from foxnas import command
from foxnas.edgetpu.table import summary_of
from foxnas.errors import FoxnasError
from foxnas.tables import read_json, read_table, replacing, write_json
from foxnas.tflite.reading import read_summary


def main(*, winner: Path, table: Path, compiled_models: Path, model: Path, summary: Path) -> None:
    """Copy the compiled file that was measured, once it reads back, and write what the compiler said of it."""
    identifier = read_json(winner)["winner"]["id"]
    said = summary_of(read_table(table), identifier)
    content = (compiled_models / f"{identifier}.tflite").read_bytes()
    if len(content) != said["compiled_bytes"] or read_summary(content).image.shape[0] != 1:
        raise FoxnasError(f"{compiled_models}/{identifier}.tflite: is not the file that {table} describes; delete both")
    with replacing(model) as temporary:
        temporary.write_bytes(content)
    write_json(summary, {"made_by": command.made_by(__file__, {}), **said})


if __name__ == "__main__":
    command.run(main)
