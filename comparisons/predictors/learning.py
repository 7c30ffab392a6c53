"""Error on held-out subnets against the number of subnets learnt from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from comparisons.predictors.regressors import Contender, Measured, Model
from foxnas.errors import FoxnasError
from foxnas.files.progress import Progress
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray

#: One subnet in so many is held out of every repeat; as many repeats hold each out once.
PARTS = 10


@dataclass(frozen=True)
class Score:
    """One predictor, learnt from some subnets of one image size, held against others.

    Errors are in the target's unit; `relative_rmse` is that of the held-out subnets over the standard deviation of all.
    """

    image_size: int
    predictor: str
    repeat: int
    requested_subnets: int
    """How many were asked for..."""
    training_subnets: int
    """...and how many there were beside those held out."""
    held_out_subnets: int
    mae: float
    rmse: float
    tau: float
    relative_rmse: float
    training_rmse: float
    fit_seconds: float
    """Processor time; a pooled model's is shared out evenly over the image sizes."""


def compare(
    space: SearchSpace,
    measured: Mapping[int, Measured],
    rivals: Sequence[Contender],
    counts: Sequence[int],
    repeats: int,
    seed: int,
) -> list[Score]:
    """Return the scores of all rivals, for every number of subnets in `counts` a size and every repeat.

    All rivals see the same subnets, and all numbers of subnets are judged on the same held-out ones; the smaller
    number is the start of the larger. A number beyond those that are not held out takes all of them. A rival that
    does not determine its coefficients from so few subnets is left out there.

    Raises
    ------
    FoxnasError
        Fewer than 20 subnets of a size, or all with the same measurement.
    """
    for size, rows in measured.items():
        if np.ptp(rows.values) == 0:
            raise FoxnasError(
                f"all {len(rows.archs)} subnets at {size} px have the same measurement {rows.values[0]:g}; there is "
                "nothing to explain. If these are accuracies: is the supernet trained, and for these classes?"
            )
    scores: list[Score] = []
    progress, done = Progress(repeats * len(counts) * len(rivals), "comparisons"), 0
    for repeat in range(repeats):
        splits = {size: _split(rows, size, repeat, seed) for size, rows in measured.items()}
        for count in counts:
            train = {size: measured[size].take(rest[:count]) for size, (_, rest) in splits.items()}
            held = {size: measured[size].take(out) for size, (out, _) in splits.items()}
            for rival in rivals:
                done += 1
                if min(len(rows.archs) for rows in train.values()) < rival.fewest:
                    continue
                models, seconds = _fit(rival, space, train, seed + repeat)
                scores += [
                    _score(rival.name, repeat, count, measured[size], train[size], held[size], models[size], seconds)
                    for size in measured
                ]
                progress.reached(done, f"{rival.name} from {count} subnets a size")
    return scores


def _split(rows: Measured, size: int, repeat: int, seed: int) -> tuple[list[int], list[int]]:
    """Return (held out, the rest in the order in which it is learnt from)."""
    if len(rows.archs) < 2 * PARTS:
        raise FoxnasError(f"{len(rows.archs)} subnets at {size} px are too few to hold any out; measure {2 * PARTS}")
    turn, part = divmod(repeat, PARTS)
    order = np.random.default_rng([seed, size, turn]).permutation(len(rows.archs))
    held_out = np.array_split(order, PARTS)[part]
    rest = np.setdiff1d(order, held_out)
    np.random.default_rng([seed, size, repeat, 1]).shuffle(rest)
    return held_out.tolist(), rest.tolist()


def _fit(
    rival: Contender, space: SearchSpace, train: Mapping[int, Measured], seed: int
) -> tuple[dict[int, Model], float]:
    """Return one model a size, and the processor time that one took."""
    begin = time.process_time()
    if rival.pooled:
        together = Measured(
            tuple(arch for rows in train.values() for arch in rows.archs),
            np.concatenate([rows.values for rows in train.values()]),
        )
        models = dict.fromkeys(train, rival.fit(space, together, seed))
    else:
        models = {size: rival.fit(space, rows, seed) for size, rows in train.items()}
    return models, (time.process_time() - begin) / len(train)


def _score(
    name: str, repeat: int, count: int, every: Measured, train: Measured, held: Measured, model: Model, seconds: float
) -> Score:
    predicted = model(held.archs)
    missed = held.values - predicted
    rmse = _root_mean_square(missed)
    # A model that predicts one value for all has no order, which is no agreement.
    tau = float(kendalltau(predicted, held.values).statistic) if np.ptp(predicted) > 0 else 0.0
    return Score(
        image_size=held.archs[0].image_size,
        predictor=name,
        repeat=repeat,
        requested_subnets=count,
        training_subnets=len(train.archs),
        held_out_subnets=len(held.archs),
        mae=float(np.mean(np.abs(missed))),
        rmse=rmse,
        tau=tau,
        relative_rmse=rmse / float(every.values.std()),
        training_rmse=_root_mean_square(train.values - model(train.archs)),
        fit_seconds=seconds,
    )


def _root_mean_square(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))
