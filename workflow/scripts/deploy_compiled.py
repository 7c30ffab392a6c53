"""Put the winner's compiled file beside it."""

from pathlib import Path

from foxnas import cli
from foxnas.edgetpu.table import summary_of
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_table, replacing, write_json
from foxnas.int8.reading import read_summary


def main(
    *, made_by: cli.MadeBy, winner: Path, tables: list[Path], compiled_models: list[Path], model: Path, summary: Path
) -> None:
    """Copy the compiled file that was measured, once it reads back, and write what the compiler said of it.

    The lists have one entry per batch of candidates.
    """
    decision = read_json(winner)["winner"]
    identifier, place = decision["id"], [path.parent.name for path in tables].index(decision["batch"])
    table, folder = tables[place], compiled_models[place]
    said = summary_of(read_table(table), identifier)
    content = (folder / f"{identifier}.tflite").read_bytes()
    if len(content) != said["compiled_bytes"] or read_summary(content).image.shape[0] != 1:
        raise FoxnasError(f"{folder}/{identifier}.tflite: is not the file that {table} describes; delete both")
    with replacing(model) as temporary:
        temporary.write_bytes(content)
    write_json(summary, {"made_by": made_by, **said})


if __name__ == "__main__":
    cli.run(main)
