"""Blocks timed in chains, and few whole subnets, held against regressions on 300 whole subnets a size.

    python -m benchmarks.blocks        # two minutes, on any machine: `benchmarks.blocks_measuring` has measured

Both ways predict whole subnets of the same sessions that they have not seen: the regressions by ten folds, the blocks
all but those that calibrate them, which are drawn anew for every seed. Device-seconds are what the device itself says
that loading, warming up and timing took.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from benchmarks.blocks_measuring import table_of
from foxnas.device.block_outliers import standing_out
from foxnas.predictor.block_table import BLOCKS, of_table
from foxnas.predictor.likeness import Likening
from foxnas.predictor.mix import fit_mix
from foxnas.predictor.model import Predictor
from foxnas.predictor.solution import cross_validated, least_squares_coefficients, shrunk_coefficients
from foxnas.space.arch import Arch
from foxnas.space.blocks import Blocks
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray, formula

SEEDS = 20
#: What a chain takes, and took the device, where those that stand out are timed once more, as the workflow does.
OUTLIERS_AGAIN, OUTLIERS_AGAIN_DEVICE = "outliers_again_ms", "outliers_again_device_ms"


@dataclass(frozen=True)
class Measured:
    """What was measured of a space."""

    space: SearchSpace
    subnets: pd.DataFrame
    """With `image_size`, and the columns of `benchmarks.blocks_measuring.rows_of`."""
    chains: pd.DataFrame
    """With `copies` and `block`, likewise."""

    @classmethod
    def of(cls, xnnpack: str, truth: str) -> Measured:
        """Read what was measured with or without XNNPACK; `truth` is the column that is a subnet's latency."""
        rows = pd.read_csv(table_of(xnnpack))
        rows["latency_ms"] = rows[truth]
        words = rows["id"].str.split(" ", expand=True)
        number = words[1].astype(int)
        whole = words[0] == "subnet"
        space, chains = read_space("mini"), rows[~whole].assign(copies=number[~whole], block=words[2][~whole])
        chains = pd.concat(with_outliers_again(space, some) for _, some in chains.groupby("copies"))
        return cls(space, rows[whole].assign(image_size=number[whole]), chains)

    def of_size(self, size: int) -> tuple[list[Arch], FloatArray]:
        """Return the subnets of a size, and their latencies in ms."""
        rows = self.subnets[self.subnets["image_size"] == size]
        return [self.space.parse(text) for text in rows["arch"]], rows["latency_ms"].to_numpy()

    def summed(self, size: int, copies: int, column: str) -> Predictor:
        """Return the predictor that the chains of so many copies make for a size."""
        rows = self.chains[self.chains["copies"] == copies]
        block_ms = dict(zip(rows["block"], rows[column] / copies, strict=True))
        own = Blocks(self.space).at[size]
        return of_table(
            self.space, size, {key: block_ms[block.id] for key, block in own.items() if block.id in block_ms}
        )


def errors(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    """Return RMSE over the standard deviation, percent within 10% and 5%, and within how many percent 95% are."""
    off = np.abs(predicted / truth - 1)
    rmse = np.sqrt(np.mean((predicted - truth) ** 2)) / truth.std(ddof=1)
    return np.array([rmse, 100 * np.mean(off <= 0.1), 100 * np.mean(off <= 0.05), 100 * np.quantile(off, 0.95)])


def of_subnets(measured: Measured, count: int) -> FloatArray:
    """Return the mean errors of regressions on so many subnets a size: ten folds of all, else on those left out."""
    found = []
    for size in measured.space.image_sizes:
        archs, y = measured.of_size(size)
        design = formula("layers", measured.space).matrix(archs)
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            if count >= len(y):
                found.append(errors(cross_validated(least_squares_coefficients, design, y, 10, rng), y))
                continue
            order = rng.permutation(len(y))
            some, rest = order[:count], order[count:]
            intercept, *slopes = shrunk_coefficients(design[some], y[some])
            found.append(errors(intercept + design[rest] @ slopes, y[rest]))
    return np.mean(found, axis=0)


def with_outliers_again(space: SearchSpace, chains: pd.DataFrame) -> pd.DataFrame:
    """Return chains of one length with what they are when those that stand out are timed once more."""
    times_ms = dict(zip(chains["block"], chains["first_undisturbed_ms"], strict=True))
    again = chains["block"].isin([block.id for block in standing_out(Blocks(space).distinct, times_ms)])
    return chains.assign(
        **{
            OUTLIERS_AGAIN: chains["again_undisturbed_ms"].where(again, chains["first_undisturbed_ms"]),
            OUTLIERS_AGAIN_DEVICE: chains["again_device_ms"].where(again, chains["first_device_ms"]),
        }
    )


def of_blocks(measured: Measured, copies: int, column: str, calibrating: int) -> dict[str, FloatArray]:
    """Return the mean errors of sums of blocks, calibrated by two numbers, and as the workflow does."""
    plain, mixed = [], []
    for size in measured.space.image_sizes:
        archs, y = measured.of_size(size)
        summed = measured.summed(size, copies, column)
        basis = Likening({BLOCKS: summed}, archs).basis
        design, sums = basis.design(archs), summed.predict(archs).mean
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(len(y))
            some, rest = order[:calibrating], order[calibrating:]
            slope, offset = np.polyfit(sums[some], y[some], 1)
            plain.append(errors(offset + slope * sums[rest], y[rest]))
            mix = fit_mix(basis, design[some], y[some])
            mixed.append(errors(design[rest] @ mix.coefficients, y[rest]))
    return {"offset and weight": np.mean(plain, axis=0), "and by kind of term": np.mean(mixed, axis=0)}


def seconds(milliseconds: Iterable[float]) -> float:
    """Return the sum in seconds."""
    return sum(milliseconds) / 1000


def compare(measured: Measured) -> None:
    """Print one line per way to measure."""
    subnets, sizes = measured.subnets, len(measured.space.image_sizes)
    today_s = seconds(subnets["device_ms"])
    a_subnet_s = today_s / len(subnets)

    def line(name: str, spent_s: float, found: FloatArray) -> None:
        print(
            f"{name:50s} {spent_s:6.1f} s {spent_s / today_s:6.3f}   RMSE / sd {found[0]:.3f}   "
            f"within 10% {found[1]:6.2f}%   5% {found[2]:6.2f}%   95% within {found[3]:.2f}%",
            flush=True,
        )

    line("300 subnets a size", today_s, of_subnets(measured, 300))
    for count in (60, 30):
        line(f"{count} subnets a size, layers-shrunk", count * sizes * a_subnet_s, of_subnets(measured, count))
    for copies in sorted(set(measured.chains["copies"])):
        chains = measured.chains[measured.chains["copies"] == copies]
        for column, times, timings in (
            ("latency_ms", "thrice", "device_ms"), ("first_ms", "once", "first_device_ms"),
            ("first_undisturbed_ms", "once, undisturbed", "first_device_ms"),
            (OUTLIERS_AGAIN, "outliers again, undisturbed", OUTLIERS_AGAIN_DEVICE),
        ):  # fmt: skip
            for calibrating in (10, 20, 30):
                spent_s = seconds(chains[timings]) + calibrating * sizes * a_subnet_s
                for name, found in of_blocks(measured, copies, column, calibrating).items():
                    line(f"{copies} copies {times}, {calibrating} subnets, {name}", spent_s, found)


def main() -> None:
    """Print the comparison without and with XNNPACK, for each column that is to be a subnet's latency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xnnpack", choices=("off", "on", "on-busy"), nargs="+", default=["off", "on"])
    parser.add_argument("--truth", choices=("latency_ms", "least_ms"), nargs="+", default=["latency_ms", "least_ms"])
    options = parser.parse_args()
    for xnnpack, truth in product(options.xnnpack, options.truth):
        measured = Measured.of(xnnpack, truth)
        print(
            f"XNNPACK {xnnpack}, {truth}: {len(measured.subnets)} subnets and {len(measured.chains)} chains "
            "have a timing that is believed"
        )
        compare(measured)


if __name__ == "__main__":
    main()
