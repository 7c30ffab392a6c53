"""Whether families of subnets, which share what they begin with, tell more in a second than uniform subnets do.

For one image size of a finished run: samples of families (children of each unit: 1,1,1,2,4 is eight subnets with the
first three units in common) and uniform ones are evaluated on the run's fit images with its supernet, regressions are
fitted to n of each, whole families at random, and the error is that on all other uniform subnets. What was evaluated is
kept in `--folder`, so an interrupted benchmark continues.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.outcomes import TARGETS
from foxnas.accuracy.preparation import Preparation
from foxnas.config.whole import Config, read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.space.arch import Arch, Layer
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula
from foxnas.supernet.checkpoint import load_supernet

SHAPES = ("uniform", "1,1,1,1,2", "1,1,1,2,4")
COUNTS = (96, 152, 200, 304)
ORDERS = 8
PENALTIES = np.geomspace(1e-2, 1e4, 40)


def families(space: SearchSpace, size: int, shape: str, seed: int) -> list[list[Arch]]:
    """Return a sample in families, uniform over knobs in each place; of a uniform one each subnet is a family."""
    rng = np.random.default_rng([11, seed])
    if shape == "uniform":
        return [[arch] for arch in islice(space.sample(size, rng), max(COUNTS))]
    children = [int(number) for number in shape.split(",")]

    def grown(begun: tuple[tuple[Layer, ...], ...]) -> list[Arch]:
        if len(begun) == len(children):
            return [Arch(size, begun)]
        drawn = [space.draw(size, rng).units[len(begun)] for _ in range(children[len(begun)])]
        return [arch for unit in dict.fromkeys(drawn) for arch in grown((*begun, unit))]

    return [grown(()) for _ in range(max(COUNTS) // int(np.prod(children)))]


def evaluated(config: Config, results: Path, size: int, archs: list[Arch], file: Path) -> pd.DataFrame:
    """Evaluate them in the order in which neighbours share most, unless the file has them."""
    if not file.exists():
        data, accuracy = results / "data", config.accuracy
        supernet = load_supernet(config.space, results / config.space.name / "supernet.safetensors")
        calibration, images = (ArraysBySize([data / str(size) / f"{n}-images.npy"]) for n in ("calibration", "fit"))
        preparation = Preparation(supernet, calibration, accuracy.recalibration_images, accuracy.batch_size)
        labels = load_array(data / "native" / "fit-labels.npy")
        archs = sorted(set(archs), key=lambda arch: arch.units)
        begun = time.process_time()
        seen = measure(preparation, archs, images, labels, accuracy.batch_size)
        rows = [
            {"arch": arch.text, TARGETS["top1"]: one.top1_percent, TARGETS["probability"]: one.mean_probability_percent}
            for arch, one in follow(zip(archs, seen, strict=True), len(archs), "subnets")
        ]
        pd.DataFrame(rows).assign(cpu_s=(time.process_time() - begun) / len(archs)).to_csv(file, index=False)
    return pd.read_csv(file, index_col="arch")


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the coefficients, the intercept first, of a ridge regression whose penalty ten folds choose."""
    deviation = x.std(0)
    x, centre = x / np.where(deviation > 0, deviation, 1), x.mean(0) / np.where(deviation > 0, deviation, 1)

    def slopes(rows: np.ndarray) -> np.ndarray:
        u, d, v = np.linalg.svd(x[rows] - x[rows].mean(0), full_matrices=False)
        return v.T @ ((u.T @ (y[rows] - y[rows].mean()))[:, None] * d[:, None] / (d[:, None] ** 2 + PENALTIES))

    fold = np.random.default_rng(0).permutation(len(y)) % 10
    errors = np.zeros(len(PENALTIES))
    for number in range(10):
        own, others = fold == number, fold != number
        predicted = y[others].mean() + (x[own] - x[others].mean(0)) @ slopes(others)
        errors += ((predicted - y[own][:, None]) ** 2).sum(0)
    best = slopes(fold >= 0)[:, errors.argmin()]
    return np.concatenate([[y.mean() - centre @ best], best / np.where(deviation > 0, deviation, 1)])


def main() -> None:
    """Evaluate what is missing, and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--folder", type=Path, default=Path("results/trees"))
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    space, size = config.space, options.size
    options.folder.mkdir(parents=True, exist_ok=True)
    samples, seen = {}, {}
    for name in ((shape, seed) for shape in SHAPES for seed in range(options.seeds)):
        samples[name] = families(space, size, *name)
        file = options.folder / f"{name[0]}-{name[1]}-{size}.csv"
        archs = [arch for family in samples[name] for arch in family]
        seen[name] = evaluated(config, options.results, size, archs, file)
    terms = formula("accuracy-quadratic", space)
    for column in (TARGETS["top1"], TARGETS["probability"]):
        for (shape, seed), sample in samples.items():
            own = seen[shape, seed]
            held = pd.concat([seen[name] for name in samples if name[0] == "uniform" and name != (shape, seed)])
            outside = terms.matrix([space.parse(str(text)) for text in held.index])
            line = []
            for n in COUNTS:
                errors = []
                for order in range(ORDERS):
                    rng = np.random.default_rng([12, order])
                    mixed = [arch for i in rng.permutation(len(sample)) for arch in sample[i]]
                    chosen = [arch for arch in dict.fromkeys(mixed) if arch.text in own.index][:n]
                    values = own.loc[[arch.text for arch in chosen], column].to_numpy()
                    intercept, *slopes = fitted(terms.matrix(chosen), values)
                    errors.append(np.sqrt(np.mean((intercept + outside @ slopes - held[column].to_numpy()) ** 2)))
                line.append(f"{n}: {np.median(errors):.3f}")
            print(f"{column} {shape:10s} seed {seed}  {own['cpu_s'].iloc[0]:.3f} s a subnet  {'  '.join(line)}")


if __name__ == "__main__":
    main()
