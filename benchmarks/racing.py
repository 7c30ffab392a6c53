"""What a race of a budget's candidates would save: images that a clearly beaten one need not see, by a paired test.

Candidates would go through growing parts of the verify images in one random order. At each look a candidate is dropped
that some rival beats by an exact test of their discordant images: of a candidate that is at least as good on *all*
images at most half of these go to the rival, so of those seen as many as that have the probability of drawing without
replacement (`beaten_by_chance`; McNemar's exact test, in a finite population). Errors are shared out over rivals and
looks, so the candidate that is best on all images is dropped in at most `ERROR` of all orders (Bonferroni). Races are
those of Maron and Moore (Hoeffding Races, NIPS 1993), whose bound is wider: it knows neither pairs nor the end of the
images. (Waudby-Smith and Ramdas, NeurIPS 2020, have bounds for sampling without replacement that hold at any time.)

The candidates are those of a finished run, with their files. Latency is left out of account: a rule that drops only
what is no faster than its rival drops less. The error is counted over `--orders` random orders of the images, and on
made-up rivals of which the best leads by a single image, where errors are most likely.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from foxnas.config.whole import read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.files.seal import read_model
from foxnas.files.tables import read_table
from foxnas.int8.serving import score

#: How often the candidate that is best on all images may be dropped.
ERROR = 0.05
#: Shares of the images after which the race looks.
LOOKS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)


def beaten_by_chance(wins: np.ndarray, losses: np.ndarray, seen: int, images: int) -> np.ndarray:
    """Return the largest probability of so many wins or more for a rival that is no better on all images.

    Parameters
    ----------
    wins, losses
        Images seen that the rival alone gets right, and the candidate alone.
    seen, images
        Images seen so far, and all of them.

    How many images are discordant in all is unknown: for a rival that is ahead, the probability is largest where all
    are that are unseen, and an even number. One that is not ahead may be as good for certain: 1.
    """
    discordant = wins + losses
    everything = discordant + images - seen
    everything += everything % 2
    chance = stats.hypergeom.sf(wins - 1, everything, everything // 2, discordant)
    return np.where(wins > losses, chance, 1.0)


@dataclass(frozen=True)
class Race:
    """What came of one order: the images that each candidate saw, and whether it was dropped."""

    seen: np.ndarray
    dropped: np.ndarray


def race(correct: np.ndarray, order: np.ndarray, error: float = ERROR) -> Race:
    """Let candidates race: `correct` is bool (candidates, images), `order` a permutation of the images."""
    candidates, images = correct.shape
    seen, alive = np.full(candidates, images), np.ones(candidates, bool)
    limit = error / (len(LOOKS) * max(1, candidates - 1))
    for share in LOOKS:
        looked = round(share * images)
        part = correct[:, order[:looked]].astype(np.float32)
        wins = (part @ (1 - part).T).round().astype(int)  # of the row over the column
        chance = beaten_by_chance(wins, wins.T, looked, images)
        beaten = alive & ((chance <= limit) & alive[:, None]).any(axis=0)
        seen[beaten], alive = looked, alive & ~beaten
    return Race(seen, ~alive)


def simulate(correct: np.ndarray, orders: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the share of all images that races leave out, and the share of races that drop the best."""
    right = correct.sum(axis=1)
    best, saved, lost = right == right.max(), [], 0
    for _ in range(orders):
        found = race(correct, rng.permutation(correct.shape[1]))
        saved.append(1 - found.seen.mean() / correct.shape[1])
        lost += bool(found.dropped[best].all())
    return float(np.mean(saved)), lost / orders


def close_rivals(candidates: int, images: int, discordant: float, rng: np.random.Generator) -> np.ndarray:
    """Return rivals that are right as often as the first, less one image, and differ from it on a share of them."""
    first = rng.random(images) < 0.8
    every = [first]
    for _ in range(candidates - 1):
        own, half = first.copy(), round(discordant * images / 2)
        own[rng.permutation(np.flatnonzero(first))[: half + 1]] = False
        own[rng.permutation(np.flatnonzero(~first))[:half]] = True
        every.append(own)
    return np.array(every)


def answered(folder: Path, images: ArraysBySize, labels: np.ndarray, xnnpack: bool) -> np.ndarray:
    """Return which images every candidate of a budget got right, bool (candidates, images)."""
    found = []
    for table in sorted(folder.glob("*/exported.csv")):
        for row in read_table(table, ["id", "arch"]).itertuples():
            size = int(str(row.arch).partition("_")[0].removeprefix("r"))
            content = read_model(table.parent / "exported" / f"{row.id}.tflite")
            found.append(score(content, images.at(size), labels, 1, xnnpack).correct)
    return np.array(found)


def tell(name: str, correct: np.ndarray, orders: int) -> None:
    """Print what is known of a budget's candidates, and what races would do."""
    right = np.sort(100 * correct.mean(axis=1))[::-1]
    best = correct[correct.sum(axis=1).argmax()]
    apart = 100 * np.median([(best != one).mean() for one in correct])
    saved, lost = simulate(correct, orders, np.random.default_rng(0))
    print(
        f"{name}: {len(correct)} candidates, {right[0]:.2f} to {right[-1]:.2f}% (median {np.median(right):.2f}), "
        f"{apart:.2f}% of images apart from the best; a race leaves out {saved:.1%} of the images and drops the best "
        f"in {lost:.2%} of {orders:,} orders",
        flush=True,
    )


def main() -> None:
    """Print what races would save, budget by budget, and how often they would be wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--orders", type=int, default=1000)
    options = parser.parse_args()
    config, data = read_config(options.config), options.results / "data"
    images = ArraysBySize([data / str(size) / "verify-images.npy" for size in config.space.image_sizes])
    labels = load_array(data / "native" / "verify-labels.npy")
    for apart in (0.02, 0.1):
        rivals = close_rivals(14, len(labels), apart, np.random.default_rng(1))
        tell(f"made up, the best leads by one image, {apart:.0%} apart", rivals, options.orders)
    device = config.devices[0]
    folders = sorted((options.results / config.space.name / "search" / device.name).glob("*/round-1"))
    for folder in follow(folders, len(folders), "budgets"):
        tell(folder.parent.name, answered(folder.parent, images, labels, device.protocol.xnnpack), options.orders)


if __name__ == "__main__":
    main()
