"""Put the exported file of a named architecture where a deployed model lies."""

from pathlib import Path

from foxnas import cli
from foxnas.files.seal import read_model
from foxnas.files.tables import read_table, replacing, write_json
from foxnas.verdict.verification import EXPORTED_COLUMNS


def main(*, made_by: cli.MadeBy, exported: Path, models: Path, winner: Path, model: Path) -> None:
    """Write the file as it was measured, and its row as a decision has it: there was nothing to choose from."""
    (row,) = read_table(exported, EXPORTED_COLUMNS).to_dict("records")
    with replacing(model) as temporary:
        temporary.write_bytes(read_model(models / f"{row['id']}.tflite"))
    write_json(winner, {"made_by": made_by, "winner": {**row, "batch": "named"}})


if __name__ == "__main__":
    cli.run(main)
