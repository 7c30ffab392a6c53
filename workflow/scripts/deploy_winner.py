"""Deploy the candidate that new sessions confirmed, else the closest, marked as such."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, replacing, write_json
from foxnas.verdict.confirmation import handed_over


def main(*, made_by: cli.MadeBy, ranking: Path, latencies: Path, models: list[Path], winner: Path, model: Path) -> None:
    """Write the decision and the chosen candidate's file as it was measured; `models` is a folder per batch."""
    order, tried = read_json(ranking), read_json(latencies)["tried"]
    chosen = handed_over(tried)
    rows = {(row["batch"], row["id"]): row for row in order["ranked"] or [order["closest"]]}
    state = chosen["decision"]["state"]
    if state != "kept":
        logging.warning("no model keeps the budget; the closest is deployed to be examined: %s", chosen["arch"])
    folder = {path.parent.name: path for path in models}[chosen["batch"]]
    with replacing(model) as temporary:
        temporary.write_bytes(read_model(folder / f"{chosen['id']}.tflite"))
    write_json(
        winner,
        {
            "made_by": made_by,
            **{name: order[name] for name in ("budget_ms", "goal", "chosen_by")},
            "winner": rows[chosen["batch"], chosen["id"]],
            "confirmed": state == "kept",
            "predicted": order["predicted"][chosen["id"]],
            "candidates": order["candidates"],
            **{name: order[name] for name in ("finishing",) if name in order},
        },
    )


if __name__ == "__main__":
    cli.run(main)
