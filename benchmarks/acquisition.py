"""Rounds of acquisition against none: how promises hold, and what the winners score, on a finished run's images.

From designed sequences, as `benchmarks.pooling --sequences` measures them (in its `--folder`): the accuracies of the
first subnets of each size are fitted together, a number of rounds acquire more, and the exact search proposes
candidates at every budget and reserve. All of it is evaluated for real, in float, with the run's supernet: on the fit
images, which are the ones that are predicted, on the verify images, by which a winner is chosen, and the winners on the
test images. What has been evaluated is kept in `--answers`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.pooling import Rows, held_out_by_folds, sequence, together
from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.outcomes import TARGETS
from foxnas.accuracy.preparation import Preparation
from foxnas.config.whole import Config, read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.tables import read_json
from foxnas.predictor.calibration import Calibration
from foxnas.predictor.forms import shape_of
from foxnas.predictor.model import Predictor
from foxnas.report.holdings import allow_for_images
from foxnas.search.acquisition import acquire, optima_of, predicted
from foxnas.search.agreement import gaps
from foxnas.search.goal import NO_CAPS
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import exact
from foxnas.space.arch import Arch
from foxnas.supernet.checkpoint import load_supernet

Fitted = Mapping[int, Predictor]


def main() -> None:
    """Print, for each sequence, every round, then the candidates and the winners."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--folder", type=Path, default=Path("results/pooling"), help="of benchmarks.pooling")
    parser.add_argument("--answers", type=Path, default=Path("results/acquisition"))
    parser.add_argument("--device", default="local")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--subnets", type=int, nargs="+", default=[100], help="of each size, before the rounds")
    parser.add_argument("--rounds", type=int, nargs="+", default=[0, 3])
    parser.add_argument("--batch", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    answers = Answers(config, options.results, options.answers)
    folder = options.results / config.space.name
    latency = {
        size: Predictor.load(folder / str(size) / "predictors" / f"latency-{options.device}.json")
        for size in config.space.image_sizes
    }
    budgets = {
        place.parent.name: float(read_json(place)["budget_ms"])
        for place in sorted((folder / "search" / options.device).glob("*/budget.json"))
    }
    for seed in range(options.sequences):
        tables = sequence(config, options, "i-optimal", seed)
        rows = {
            size: (
                [config.space.parse(str(text)) for text in table["arch"]],
                table[TARGETS["top1"]].to_numpy(dtype=float),
            )
            for size, table in tables.items()
        }
        for rounds in options.rounds:
            print(f"sequence {seed}, {sum(len(y) for _, y in rows.values())} subnets, {rounds} rounds", flush=True)
            acquire_and_search(config, answers, latency, budgets, rows, rounds, options.batch, seed)


class Answers:
    """Which images each subnet gets right, evaluated when first asked for."""

    def __init__(self, config: Config, results: Path, folder: Path) -> None:
        self._config, self._folder, self._data = config, folder, results / "data"
        chosen, sizes = config.accuracy, config.space.image_sizes
        calibration = ArraysBySize([self._data / str(size) / "calibration-images.npy" for size in sizes])
        supernet = load_supernet(config.space, results / config.space.name / "supernet.safetensors")
        self._preparation = Preparation(supernet, calibration, chosen.recalibration_images, chosen.batch_size)
        folder.mkdir(parents=True, exist_ok=True)

    def top1(self, split: str, archs: Sequence[Arch]) -> np.ndarray:
        """Return float top-1 in percent."""
        return np.array([100 * one.mean() for one in self.correct(split, archs)])

    def images(self, split: str) -> int:
        """Return how many images a split has."""
        return len(load_array(self._data / "native" / f"{split}-labels.npy"))

    def correct(self, split: str, archs: Sequence[Arch]) -> list[np.ndarray]:
        """Return which images of a split each subnet gets right."""
        labels = load_array(self._data / "native" / f"{split}-labels.npy")
        files = {arch: self._folder / f"{split}-{arch.id}.npy" for arch in archs}
        todo = sorted((arch for arch, file in files.items() if not file.exists()), key=lambda arch: arch.text)
        images = ArraysBySize(
            [self._data / str(size) / f"{split}-images.npy" for size in self._config.space.image_sizes]
        )
        seen = measure(self._preparation, todo, images, labels, self._config.accuracy.batch_size)
        for arch, one in zip(todo, seen, strict=True):
            np.save(files[arch], np.packbits(one.correct))
        return [np.unpackbits(np.load(files[arch]), count=len(labels)).astype(bool) for arch in archs]


def acquire_and_search(
    config: Config, answers: Answers, latency: Fitted, budgets: Mapping[str, float], rows: Rows, rounds: int,
    batch: int, seed: int,
) -> None:  # fmt: skip
    """Acquire in rounds, search, and print how both were promised and what they are."""
    reserves = config.search.reserves_percent
    caps_ms = sorted({limit * (1 - reserve / 100) for limit in budgets.values() for reserve in reserves})
    keywords = {**shape_of("accuracy", config.predictors.accuracy_form), "space": config.space, "target": "top1"}
    keywords |= {"unit": "percent"}
    calibration, bought = Calibration(), dict[Arch, float]()
    for number in range(rounds + 1):
        fitted = together(keywords, rows)
        error = held_out_by_folds(fitted)
        calibrated = {size: calibration.of_predictor(one) for size, one in fitted.items()}
        landscape = Landscape(config.space, calibrated, latency)
        known = [arch for archs, _ in rows.values() for arch in archs]
        optima = optima_of(landscape, caps_ms, NO_CAPS)
        apart = gaps(
            landscape, list(optima), list(optima.values()), known, np.concatenate([y for _, y in rows.values()])
        )
        print(f"  {len(known)} rows, held-out RMSE {error:.3f}; optima less best measured {apart.min():+.2f} to "
              f"{apart.max():+.2f}; errors were {calibration.factor:.2f} of what was expected")  # fmt: skip
        if number == rounds:
            break
        chosen = acquire(landscape, list(optima), NO_CAPS, known, batch, np.random.default_rng([seed, number]))
        scored = answers.top1("fit", chosen)
        say(f"round {number + 1}", calibrated, chosen, scored, error)
        said = [fitted[arch.image_size].predict([arch]) for arch in chosen]
        calibration = Calibration.of(
            scored,
            np.concatenate([one.mean for one in said]),
            np.concatenate([Calibration().expected(one) for one in said]),
        )
        bought |= dict(zip(chosen, scored.tolist(), strict=True))
        for arch, value in zip(chosen, scored, strict=True):
            archs, y = rows[arch.image_size]
            rows = {**rows, arch.image_size: ([*archs, arch], np.r_[y, value])}
    found = {
        name: [
            candidate.arch
            for reserve in reserves
            for candidate in exact.search(
                SearchProblem(landscape, limit * (1 - reserve / 100)),
                Selection(config.search.candidates),
                np.random.default_rng(0),
            ).candidates
        ]
        for name, limit in budgets.items()
    }
    every = [arch for archs in found.values() for arch in archs]
    say("candidates, uncalibrated", fitted, every, answers.top1("fit", every), error)
    say("candidates", calibrated, every, answers.top1("fit", every), error)
    say("candidates on the verify images", calibrated, every, answers.top1("verify", every), error)
    say("the same, allowing for other images", calibrated, every, answers.top1("verify", every), error,
        (answers.images("fit"), answers.images("verify")))  # fmt: skip
    winners = []
    for name, archs in found.items():
        limit = budgets[name] * (1 - min(reserves) / 100)
        within = [arch for arch, ms in zip(bought, predicted(latency, list(bought)), strict=True) if ms <= limit]
        best = sorted(within, key=lambda arch: -bought[arch])[: config.search.incumbents]
        tried = list(dict.fromkeys([*archs, *best]))
        winners.append(tried[int(answers.top1("verify", tried).argmax())])
    scores = answers.top1("test", winners)
    each = ", ".join(f"{name} {score:.2f}" for name, score in zip(found, scores, strict=True))
    print(f"  winners on the test images: {each}, mean {scores.mean():.3f}", flush=True)


def say(
    name: str, fitted: Fitted, archs: Sequence[Arch], measured: np.ndarray, error: float,
    images: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """Print how predictions held; `images`: numbers of those that are predicted and of the others."""
    said = [fitted[arch.image_size].predict([arch]) for arch in archs]
    predictions = np.array([[one.mean[0], one.lower[0], one.upper[0]] for one in said])
    if images:
        predictions = allow_for_images(predictions, images[0], np.full(len(archs), images[1]))
    mean, lower, upper = predictions.T
    missed, held = mean - measured, int(((lower <= measured) & (measured <= upper)).sum())
    size = np.abs(missed).mean()
    print(
        f"  {name}: predicted less measured {missed.mean():+.3f} (sd {missed.std(ddof=1):.3f}), size {size:.3f} = "
        f"{size / error:.2f} RMSE, {held} of {len(archs)} intervals hold, {np.mean(upper - lower) / 2:.2f} points to "
        "either side",
        flush=True,
    )


if __name__ == "__main__":
    main()
