"""Compare the deployed models with off-the-shelf networks, at equal latency and at equal accuracy."""

from pathlib import Path

import pandas as pd

from foxnas import cli
from foxnas.accuracy.by_class import over_classes
from foxnas.app.classes import class_names
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_json, write_json, write_table
from foxnas.int8.scored import COLUMNS, Measure
from foxnas.rivals.comparison import Point, compare
from foxnas.rivals.table import row_of
from foxnas.space.arch import Arch
from foxnas.verdict.finishing import INHERITED, deployed_attempt
from foxnas.verdict.paired import unpacked


def main(
    *,
    made_by: cli.MadeBy,
    pretrained: list[str],
    dataset: str,
    classes: int,
    chosen_by: Measure,
    budgets: list[Path],
    winners: list[Path],
    ours: list[Path],
    exported: list[Path],
    theirs: list[Path],
    latencies: Path,
    labels: Path,
    listing: Path | None = None,
    table: Path,
    comparison: Path,
) -> None:
    """Write a row per model, and every budget's model beside every network.

    All files of one kind are in the same order: per budget, or per network and image size, whose folders they lie in.
    `pretrained` are the networks that did not begin with random weights. A network's size is chosen as our models are.
    """
    timed = read_json(latencies)["models"]
    limits = [read_json(path) for path in budgets]
    names, truth = class_names(dataset, classes, listing), load_array(labels)
    rows, models, networks = [], dict[str, Point](), dict[str, list[Point]]()
    for limit, decided, scored in zip(limits, winners, ours, strict=True):
        decision, seen = read_json(decided), read_json(scored)
        winner = decision["winner"]
        latency = timed[f"budget {decided.parent.name}"]
        size = Arch.parse(winner["arch"]).image_size
        correct = unpacked(seen["int8_correct"], seen["images"])
        models[limit["name"]] = Point(limit["name"], size, latency["median_ms"], winner[COLUMNS[chosen_by]], correct)
        weights = deployed_attempt(winner, decision.get("finishing", {"chosen": INHERITED}))["weights"]
        by_class = over_classes(correct, truth, names)
        rows.append(row_of(models[limit["name"]], weights, winner, winner, latency, by_class, ours=True))
    for found, scored in zip(exported, theirs, strict=True):
        network, size = found.parent.parent.name, int(found.parent.name)
        seen, latency = read_json(scored), timed[f"rival {network} {size}"]
        correct = unpacked(seen["test_correct"], seen["test_images"])
        point = Point(network, size, latency["median_ms"], seen["verify"][COLUMNS[chosen_by]], correct)
        networks.setdefault(network, []).append(point)
        weights = "pretrained" if network in pretrained else "random"
        by_class = over_classes(correct, truth, names)
        rows.append(row_of(point, weights, read_json(found), seen["verify"], latency, by_class, ours=False))
    compared = compare(models, networks, {limit["name"]: limit["budget_ms"] for limit in limits})
    write_table(table, pd.DataFrame(rows), made_by)
    write_json(
        comparison,
        {
            "made_by": made_by,
            "test_images": len(next(iter(models.values())).correct),
            "models": rows,
            "budgets": {limit["name"]: limit["budget_ms"] for limit in limits},
            "against": [one.to_json() for one in compared],
        },
    )


if __name__ == "__main__":
    cli.run(main)
