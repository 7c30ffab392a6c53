"""The frugal protocol against the plain one: two finished runs of one supernet, paired on the test split.

Winners of both, and of the plain run also the best of its measured subnets and what its random searches found, are
evaluated in float on the same test images. Leads have 95% intervals for which images are drawn with all budgets.
A winner of the one run is held against that of the other at the budget of the same name, whose milliseconds stand
beside it: percentiles of two samples are not quite one number.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from foxnas.accuracy.evaluation import Preparation, measure
from foxnas.config.whole import read_config
from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.files.tables import read_json, read_table
from foxnas.supernet.checkpoint import load_supernet
from foxnas.verdict.baselines import compare, paired_difference


def main() -> None:
    """Print, per budget and on average, what the frugal winners lead by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="of the plain run")
    parser.add_argument("--frugal-config", type=Path, default=Path("config/frugal.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the plain run")
    parser.add_argument("--frugal-results", type=Path, help="where they are not the same folder")
    parser.add_argument("--device", default="local")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    plain = options.results / config.space.name
    frugal = (options.frugal_results or options.results) / read_config(options.frugal_config).space.name
    weights, others = (
        load_supernet(config.space, own / "supernet.safetensors").state_dict() for own in (plain, frugal)
    )
    if any(not torch.equal(tensor, others[name]) for name, tensor in weights.items()):
        raise FoxnasError(f"{plain} and {frugal} have two supernets, so that accuracies are not of the same weights")
    for name, folder in (("plain", plain), ("frugal", frugal)):
        evaluated, acquired = (
            sum(len(read_table(path)) for path in sorted(folder.glob(pattern)))
            for pattern in ("*/shards/accuracy/*.csv", f"search/{options.device}/acquired/*/accuracy.csv")
        )
        latencies = sorted(folder.glob(f"*/latency-{options.device}.csv"))
        timed = sum(int(read_table(path)["usable"].sum()) for path in latencies)
        print(f"{name}: {evaluated} subnets evaluated and {acquired} acquired, {timed} timed whole")
    baselines = read_json(plain / "baselines" / f"{options.device}.json")
    verdicts = {
        name: [
            read_json(folder / "deploy" / options.device / row["budget"] / "validation.json")
            for row in baselines["budgets"]
        ]
        for name, folder in (("plain", plain), ("frugal", frugal))
    }
    winners = {name: [verdict["arch"] for verdict in found] for name, found in verdicts.items()}
    anyway = [row["best_measured"]["arch"] for row in baselines["budgets"]]
    drawn = list(zip(*(row["random_search"]["archs"] for row in baselines["budgets"]), strict=True))

    data, sizes = options.results / "data", config.space.image_sizes
    calibration, images = (
        ArraysBySize([data / str(size) / f"{split}-images.npy" for size in sizes]) for split in ("calibration", "test")
    )
    labels, chosen = load_array(data / "native" / "test-labels.npy"), config.accuracy
    supernet = load_supernet(config.space, plain / "supernet.safetensors")
    preparation = Preparation(supernet, calibration, chosen.recalibration_images, chosen.batch_size)
    needed = sorted({*winners["plain"], *winners["frugal"], *anyway, *(text for found in drawn for text in found)})
    seen = measure(preparation, [config.space.parse(text) for text in needed], images, labels, chosen.batch_size)
    correct = {text: one.correct for text, one in follow(zip(needed, seen, strict=True), len(needed), "subnets")}

    for name, archs in winners.items():
        rows, average = compare(archs, anyway, drawn, correct)
        for row, verdict in zip(rows, verdicts[name], strict=True):
            print(
                f"{name} {verdict['budget']} ({verdict['budget_ms']:.5f} ms, measured "
                f"{verdict['latency_median_ms']:.5f} ms, {'kept' if verdict['latency_kept'] else 'not kept'}): float "
                f"top-1 {row['ours']['top1_percent']:.2f}%, lead over the best of the plain run's subnets "
                f"{_said(row['best_measured']['lead'])}, over its random searches {_said(row['random_search']['lead'])}"
            )
        print(
            f"{name}, on average: {_said(average['best_measured'])} over the best measured, "
            f"{_said(average['random_search'])} over random search"
        )
    pairs = list(zip(winners["frugal"], winners["plain"], strict=True))
    for (mine, other), verdict in zip(pairs, verdicts["plain"], strict=True):
        difference = paired_difference(correct[mine].astype(float), correct[other].astype(float)[None])
        print(f"frugal less plain, {verdict['budget']}: {_said(difference.to_json())}")
    mine, other = (np.mean([correct[text] for text in winners[name]], axis=0) for name in ("frugal", "plain"))
    print(f"frugal less plain, on average: {_said(paired_difference(mine, other[None]).to_json())}")


def _said(lead: dict[str, float]) -> str:
    return f"{lead['points']:+.2f} ({lead['lower']:+.2f} to {lead['upper']:+.2f})"


if __name__ == "__main__":
    main()
