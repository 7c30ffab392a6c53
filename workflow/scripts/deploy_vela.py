"""Put the winner's compiled file for the Ethos-U beside it."""

from pathlib import Path

from foxnas import cli
from foxnas.errors import FoxnasError
from foxnas.ethosu.table import described
from foxnas.files.tables import read_json, read_table, replacing, write_json


def main(
    *, made_by: cli.MadeBy, winner: Path, tables: list[Path], compiled_models: list[Path], model: Path, summary: Path
) -> None:
    """Copy the compiled file that the estimate is of, and write what Vela said of it.

    The lists have one entry per batch of candidates. A winner with operators on the CPU is refused.
    """
    decision = read_json(winner)["winner"]
    identifier, place = decision["id"], [path.parent.name for path in tables].index(decision["batch"])
    said = described(read_table(tables[place]), identifier)
    content = (compiled_models[place] / f"{identifier}.tflite").read_bytes()
    if len(content) != said["compiled_bytes"]:
        raise FoxnasError(
            f"{compiled_models[place]}/{identifier}.tflite: is not the file that {tables[place]} describes; delete both"
        )
    with replacing(model) as temporary:
        temporary.write_bytes(content)
    write_json(summary, {"made_by": made_by, **said})


if __name__ == "__main__":
    cli.run(main)
