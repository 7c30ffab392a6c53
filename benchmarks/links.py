"""What the link of the accuracy fits changes, on a finished run: errors held out, and promises of what a search finds.

First the error of the demo's rows held out by ten folds, the asymptote chosen anew in each, over several deals of the
folds. Then the frontier is searched exactly under each link, at every budget and reserve; what either finds is
evaluated in float on the fit images (which the predictors predict) and on the verify images (which the page shows), and
held against what each link had predicted of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.outcomes import TARGETS
from foxnas.accuracy.preparation import Preparation
from foxnas.config.whole import Config, read_config
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.progress import follow
from foxnas.files.tables import read_json, read_table
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import FORMS, shape_of
from foxnas.predictor.link import LINKS, LinkName
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import exact
from foxnas.space.arch import Arch
from foxnas.supernet.checkpoint import load_supernet

Fitted = Mapping[int, Predictor]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--device", default="local")
    parser.add_argument("--target", choices=TARGETS, default="top1")
    parser.add_argument("--deals", type=int, default=10, help="of the rows to folds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    folder = options.results / config.space.name
    rows = {size: read_table(folder / str(size) / "accuracy.csv") for size in config.space.image_sizes}
    measured = {size: table[TARGETS[options.target]].to_numpy(dtype=float) for size, table in rows.items()}
    archs = {size: [config.space.parse(str(text)) for text in table["arch"]] for size, table in rows.items()}

    def fitted(form: str, link: LinkName, size: int, seed: int = 0) -> Predictor:
        return fit(
            **shape_of("accuracy", form), space=config.space, image_size=size, archs=archs[size], y=measured[size],
            target=options.target, unit="percent", link=link, seed=seed,
        )  # fmt: skip

    print(f"{options.target}, held-out RMSE in points, mean of {options.deals} deals to ten folds (change, sd)")
    for form in FORMS:
        for size in config.space.image_sizes:
            errors = np.array(
                [[_error(fitted(form, link, size, seed)) for link in LINKS] for seed in range(options.deals)]
            )
            change = 100 * (errors[:, 1] / errors[:, 0] - 1)
            asymptote = fitted(form, "log-complement", size).link.asymptote
            print(
                f"{form} {size} px, n {len(measured[size])}: {errors[:, 0].mean():.3f} -> {errors[:, 1].mean():.3f} "
                f"({change.mean():+.1f}% sd {change.std(ddof=1) if len(change) > 1 else 0:.1f}); asymptote "
                f"{asymptote:.2f}, largest measured {measured[size].max():.2f}",
                flush=True,
            )
    form = config.predictors.accuracy_form
    by_link = {link: {size: fitted(form, link, size) for size in config.space.image_sizes} for link in LINKS}
    found = {link: _found(config, folder, options.device, by_link[link]) for link in LINKS}
    if options.target == "top1":
        _print_promises(config, options.results, by_link, found)


def _error(predictor: Predictor) -> float:
    assert predictor.quality
    return predictor.quality.rmse_cv


def _found(config: Config, folder: Path, device: str, accuracy: Fitted) -> dict[str, list[Arch]]:
    """Return what exact search proposes at each budget, over the reserves."""
    latency = {size: Predictor.load(folder / str(size) / "predictors" / f"latency-{device}.json") for size in accuracy}
    landscape, found = Landscape(config.space, accuracy, latency), {}
    for place in sorted((folder / "search" / device).iterdir()):
        budget_ms = float(read_json(place / "budget.json")["budget_ms"])
        found[place.name] = [
            candidate.arch
            for reserve in config.search.reserves_percent
            for candidate in exact.search(
                SearchProblem(landscape, budget_ms * (1 - reserve / 100)),
                Selection(config.search.candidates),
                np.random.default_rng(0),
            ).candidates
        ]
    return found


def _print_promises(
    config: Config, results: Path, by_link: Mapping[LinkName, Fitted], found: Mapping[LinkName, dict[str, list[Arch]]]
) -> None:
    every = list(dict.fromkeys(arch for of_link in found.values() for archs in of_link.values() for arch in archs))
    top1 = {split: _measure(config, results, split, every) for split in ("fit", "verify")}
    for proposed, of_budgets in found.items():
        archs = [arch for archs in of_budgets.values() for arch in archs]
        for link, predictors in by_link.items():
            said = [predictors[arch.image_size].predict([arch]) for arch in archs]
            mean, lower, upper = (np.array([getattr(p, end)[0] for p in said]) for end in ("mean", "lower", "upper"))
            rmse = np.mean([_error(p) for p in predictors.values()])
            for split, scored in top1.items():
                y = np.array([scored[arch] for arch in archs])
                error, held = mean - y, int(((lower <= y) & (y <= upper)).sum())
                print(
                    f"proposed under {proposed}, predicted under {link}, {split} images: n {len(y)}, predicted less "
                    f"measured {error.mean():+.2f} sd {error.std(ddof=1):.2f} points, size {np.abs(error).mean():.2f} "
                    f"({np.abs(error).mean() / rmse:.1f} held-out RMSE), {held} of {len(y)} intervals hold"
                )
        best = {name: max(top1["verify"][arch] for arch in archs) for name, archs in of_budgets.items()}
        print(f"best measured on the verify images, proposed under {proposed}: {best}", flush=True)


def _measure(config: Config, results: Path, split: str, archs: list[Arch]) -> dict[Arch, float]:
    """Return float top-1 (percent) of subnets on the images of a split."""
    data = results / "data"
    calibration, images = (
        ArraysBySize([data / str(size) / f"{name}-images.npy" for size in config.space.image_sizes])
        for name in ("calibration", split)
    )
    labels, chosen = load_array(data / "native" / f"{split}-labels.npy"), config.accuracy
    supernet = load_supernet(config.space, results / config.space.name / "supernet.safetensors")
    preparation = Preparation(supernet, calibration, chosen.recalibration_images, chosen.batch_size)
    return {
        arch: evaluate(preparation.subnet(arch), images.at(arch.image_size), labels, chosen.batch_size).top1_percent
        for arch in follow(archs, len(archs), f"subnets on the {split} images")
    }


if __name__ == "__main__":
    main()
