"""Image sizes fitted together against apart: error on subnets no fit has seen, against the number measured.

On the measurements of a finished run: each of several draws takes n subnets of every size, fits them apart and
together under the link that cross-validation likes, and predicts all other subnets. What a fit to all of a run's
subnets misses is held out by twenty folds. With `--sequences`, the designed samples are measured for real, on the run's
fit images with its supernet, and predict all of the run's subnets; what has been measured is kept in `--folder`, so an
interrupted benchmark continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.designs import evaluated
from foxnas.accuracy.outcomes import TARGETS
from foxnas.config.whole import Config, read_config
from foxnas.files.tables import read_table
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import FORMS, Form, shape_of
from foxnas.predictor.linking import choose_link, fit_links
from foxnas.predictor.model import Predictor
from foxnas.predictor.together import fit_together
from foxnas.space.arch import Arch
from foxnas.space.design_names import Design
from foxnas.space.sampling import subnets

#: By image size, subnets and what was measured of them.
Rows = Mapping[int, tuple[list[Arch], np.ndarray]]
Fitted = Mapping[int, Predictor]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--folder", type=Path, default=Path("results/pooling"))
    parser.add_argument("--subnets", type=int, nargs="+", default=[86])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--deals", type=int, default=5, help="of all subnets to twenty folds")
    parser.add_argument("--sequences", type=int, default=0, help="of every design, measured anew")
    parser.add_argument("--designs", nargs="+", default=["i-optimal"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    sequences = {
        (design, seed): sequence(config, options, design, seed)
        for seed in range(options.sequences)
        for design in options.designs
    }
    for target in options.targets:
        measured = {
            size: (
                [config.space.parse(str(text)) for text in table["arch"]],
                table[TARGETS[target]].to_numpy(dtype=float),
            )
            for size, table in tables(config, options.results).items()
        }
        for form in options.forms:
            print_errors(config, options, target, form, measured, sequences)


def tables(config: Config, results: Path) -> dict[int, pd.DataFrame]:
    """Return the run's measured accuracies by image size."""
    folder = results / config.space.name
    return {size: read_table(folder / str(size) / "accuracy.csv") for size in config.space.image_sizes}


def sequence(config: Config, options: argparse.Namespace, design: Design, seed: int) -> dict[int, pd.DataFrame]:
    """Return the first subnets of a design's sequence at each image size, measured."""
    options.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for size in config.space.image_sizes:
        drawn = subnets(design, config.space, size, np.random.default_rng([seed, size]))
        archs = list(islice(drawn, max(options.subnets)))
        journal = options.folder / f"{design}-{seed}-{size}.csv"
        found[size] = evaluated(config, options.results, size, archs, journal)
    return found


def print_errors(
    config: Config, options: argparse.Namespace, target: str, form: Form, measured: Rows,
    sequences: Mapping[tuple[str, int], Mapping[int, pd.DataFrame]],
) -> None:  # fmt: skip
    """Print the errors of one form, fitted apart and together to draws of the run's subnets, and to sequences."""
    keywords = {**shape_of("accuracy", form), "space": config.space, "target": target, "unit": "percent"}
    ways: dict[str, Callable[[Rows], Fitted]] = {
        "apart": partial(apart, keywords), "together": partial(together, keywords),
    }  # fmt: skip
    every = [
        held_out_by_folds(apart(keywords | {"folds": 20, "seed": deal}, measured)) for deal in range(options.deals)
    ]
    print(f"{target} {form}, RMSE in points, quartiles")
    say("all apart, twenty folds", sum(len(y) for _, y in measured.values()), every, "deals")
    for n in options.subnets:
        for way, fitted in ways.items():
            scores = [score(fitted(some), rest) for some, rest in draws(measured, n, options.draws)]
            say(way, n * len(measured), [error for error, _ in scores], "draws", [held for _, held in scores])
        for design in dict.fromkeys(design for design, _ in sequences):
            samples = [
                {
                    size: ([config.space.parse(str(text)) for text in own["arch"][:n]], own[TARGETS[target]][:n])
                    for size, own in of_sizes.items()
                }
                for (name, _), of_sizes in sequences.items()
                if name == design
            ]
            for way, fitted in ways.items():
                scores = [score(fitted(sample), measured) for sample in samples]
                errors, held = [error for error, _ in scores], [held for _, held in scores]
                say(f"{way}, {design}", n * len(measured), errors, "sequences", held)


def apart(keywords: Mapping[str, object], rows: Rows) -> dict[int, Predictor]:
    """Return the predictors of every size's own rows, under the link that `auto` takes; none where rows are too few."""
    found = {}
    for size, (archs, y) in rows.items():
        by_link = fit_links("auto", partial(fit, image_size=size, archs=archs, y=y, **keywords))  # type: ignore[arg-type]
        found[size] = by_link[choose_link("auto", by_link)[0]]
    return found


def together(keywords: Mapping[str, object], rows: Rows) -> dict[int, Predictor]:
    """Return the same of all rows."""
    by_link = fit_links("auto", partial(fit_together, rows=rows, **keywords))  # type: ignore[arg-type]
    found = {}
    for size in rows:
        of_size = {link: one[size] for link, one in by_link.items()}
        found[size] = of_size[choose_link("auto", of_size)[0]]
    return found


def held_out_by_folds(predictors: Fitted) -> float:
    """Return the cross-validated error over all sizes."""
    errors = []
    for predictor in predictors.values():
        assert predictor.rows
        errors.append(np.array(predictor.rows.held_out) - predictor.rows.measured)
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def draws(measured: Rows, n: int, count: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield n subnets of every size, and the others."""
    for seed in range(count):
        some, rest = {}, {}
        for size, (archs, y) in measured.items():
            order = np.random.default_rng([seed, size]).permutation(len(y))
            some[size], rest[size] = (([archs[i] for i in part], y[part]) for part in (order[:n], order[n:]))
        yield some, rest


def score(predictors: Fitted, rows: Rows) -> tuple[float, float]:
    """Return error and share of prediction intervals that hold, over the rows of all sizes."""
    missed, held = [], []
    for size, (archs, y) in rows.items():
        said = predictors[size].predict(archs)
        missed.append(said.mean - y)
        held.append((said.lower <= y) & (y <= said.upper))
    return float(np.sqrt(np.mean(np.concatenate(missed) ** 2))), float(np.mean(np.concatenate(held)))


def say(name: str, subnets: int, errors: Sequence[float], of: str, held: Sequence[float] = ()) -> None:
    """Print a line."""
    low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75])
    intervals = f", {100 * np.mean(held):.1f}% of the 95% intervals hold" if held else ""
    print(
        f"  {name}, {subnets} subnets: {middle:.4f} ({low:.4f} to {high:.4f}; {len(errors)} {of}){intervals}",
        flush=True,
    )


if __name__ == "__main__":
    main()
