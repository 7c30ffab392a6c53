"""What a training will take on this machine: a few of its steps, timed on a copy before it begins.

A step's time depends on its image size, its subnet and whether a teacher answers, too. So steps are of kinds: one for
every phase and image size. Of each kind those nearest to its mean number of multiply-accumulates are timed, and what
there is no time to time is taken from its neighbours by that number.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import torch

from foxnas.files.progress import duration
from foxnas.space.arch import Arch
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.state import Network, TrainingState
from foxnas.supernet.training.steps import Draw, Piece, draws, read_ahead

log = logging.getLogger(__name__)

#: Steps of a phase that are looked at for its mean step.
LOOKED_AT = 200
#: Steps of a kind that are timed, after one that is not.
TIMED = 2
#: A training of less time is told by its first step alone.
SHORT_S = 10.0
#: In a training of fewer steps, no second one is timed if the first takes too large a share.
FEW = 20
#: Timing ends when it has taken so many seconds, or this share of what it foretells.
MOST_S, MOST_SHARE = 60.0, 0.03

#: A backward pass is two multiplications for each of the forward pass; a teacher has no backward pass.
_TRAINED, _TAUGHT = 3, 1


@dataclass(frozen=True)
class Forecast:
    """Seconds that a training will take.

    Parameters
    ----------
    steps
        Of an epoch.
    step_s
        Of a mean step of each phase.
    check_s
        Of an early stop's look at the end of an epoch, by phase.
    timed
        Steps that were timed; 0: the seconds are in proportion only.
    """

    recipe: Recipe
    steps: int
    step_s: Sequence[float]
    check_s: Mapping[int, float]
    timed: int = 0

    def rest_s(self, epoch: int, step: int) -> list[float]:
        """Return what is still to be done of each phase after so many epochs and steps, every check included."""
        left = steps_left(self.recipe, self.steps, epoch, step)
        return [
            steps * one + -(-steps // self.steps) * self.check_s.get(phase, 0.0)
            for phase, (steps, one) in enumerate(zip(left, self.step_s, strict=True))
        ]

    def said(self, epoch: int, step: int) -> str:
        """Return the sentence that is said before a training begins, or continues after so many epochs and steps."""
        rest_s = self.rest_s(epoch, step)
        left = steps_left(self.recipe, self.steps, epoch, step)
        phases = [
            f"phase {number + 1} {duration(seconds)}"
            for number, (seconds, steps) in enumerate(zip(rest_s, left, strict=True))
            if steps
        ]
        parts = [f"{sum(left):,} steps", f"{self.timed} timed beforehand", *(phases if len(phases) > 1 else ())]
        if checks := sum(-(-steps // self.steps) for phase, steps in enumerate(left) if phase in self.check_s):
            parts.append(f"{checks} looks at the verify split among them, unless it stops early")
        what = "the rest of this training" if epoch or step else "this training"
        return f"{what} will take {duration(sum(rest_s))} on this machine ({', '.join(parts)})"


def steps_left(recipe: Recipe, steps: int, epoch: int, step: int) -> list[int]:
    """Return how many steps of each phase are to come after so many epochs, of `steps` each, and steps."""
    done, begins = epoch * steps + step, [recipe.first_epoch(number) * steps for number in range(len(recipe.phases))]
    ends = [begin + phase.epochs * steps for begin, phase in zip(begins, recipe.phases, strict=True)]
    return [max(0, end - max(begin, done)) for begin, end in zip(begins, ends, strict=True)]


@dataclass(frozen=True)
class Kind:
    """Steps to come of one phase at one image size; `work` is what their mean one multiplies and adds per image."""

    phase: int
    size: int
    steps: float
    work: float
    taught: bool
    typical: Sequence[Draw]
    """Those nearest to the mean, the nearest first."""


def kinds_to_come(
    recipe: Recipe,
    space: SearchSpace,
    images: int,
    state: TrainingState[Network],
    arch: Arch | None,
) -> list[Kind]:
    """Return the kinds of the steps that a training of so many images, in this state, has to come, by work."""

    @cache
    def macs(one: Arch) -> int:
        return costs_of(space, one).macs

    kinds, per_epoch = [], images // recipe.batch_size
    for phase, left in enumerate(steps_left(recipe, per_epoch, state.epoch, state.step)):
        begin = recipe.first_epoch(phase)
        place = (state.epoch, state.step, state.draws) if state.epoch >= begin else (begin, 0, None)
        looked = list(islice(draws(recipe, space, images, *place, arch), min(left, LOOKED_AT))) if left else []
        taught = state.teacher is not None or bool(phase and recipe.distillation)
        for size in sorted({draw.arch.image_size for draw in looked}):
            alike = [draw for draw in looked if draw.arch.image_size == size]
            # Of few steps to come, all are known; of many, sizes are as likely as each other.
            share = len(alike) / len(looked) if left <= LOOKED_AT or arch else 1 / len(space.image_sizes)
            mean = float(np.mean([macs(draw.arch) for draw in alike]))
            work = _TRAINED * mean + (_TAUGHT * macs(space.largest(size)) if taught else 0)
            alike.sort(key=lambda draw: abs(macs(draw.arch) - mean))
            kinds.append(Kind(phase, size, left * share, work, taught, alike[: TIMED + 1]))
    return sorted(kinds, key=lambda kind: kind.work)


def foresee(
    state: TrainingState[Network],
    recipe: Recipe,
    space: SearchSpace,
    images: int,
    arch: Arch | None,
    read: Callable[[Draw], list[Piece]],
    ahead: int,
    train_one: Callable[[TrainingState[Network], Draw, list[Piece]], object],
    processes: Processes,
    checks: Mapping[int, Callable[[Network], float]],
) -> Forecast:
    """Return what a training in this state will take; nothing of the state changes.

    Parameters
    ----------
    read, ahead
        Of a batch, and how many are read before they are needed.
    train_one
        Trains a copy of the state on a batch.
    checks
        By phase, what returns the seconds of an early stop's look at a network.
    """
    steps, phases = images // recipe.batch_size, range(len(recipe.phases))
    kinds = kinds_to_come(recipe, space, images, state, arch)
    trial = copy.deepcopy(state)
    found, timed = _timed(kinds, trial, read, ahead, train_one, processes)
    of_kinds = _by_work([kind.work for kind in kinds], found)
    step_s = [_mean([(kind, s) for kind, s in zip(kinds, of_kinds, strict=True) if kind.phase == n]) for n in phases]
    left = steps_left(recipe, steps, state.epoch, state.step)
    looked_s = {n: check(trial.average) if processes.first else 0.0 for n, check in checks.items() if left[n]}
    check_s = {n: processes.count * _agreed(seconds, processes) for n, seconds in looked_s.items()}
    return Forecast(recipe, steps, step_s, check_s, timed)


def _mean(kinds: Sequence[tuple[Kind, float]]) -> float:
    steps = sum(kind.steps for kind, _ in kinds)
    return sum(kind.steps * seconds for kind, seconds in kinds) / steps if steps else 0.0


def _timed(
    kinds: Sequence[Kind],
    trial: TrainingState[Network],
    read: Callable[[Draw], list[Piece]],
    ahead: int,
    train_one: Callable[[TrainingState[Network], Draw, list[Piece]], object],
    processes: Processes,
) -> tuple[dict[int, float], int]:
    """Return the seconds of a step by the place of its kind, of as many kinds as there is time for, and the steps."""
    middle = len(kinds) // 2
    order = list(dict.fromkeys([middle, len(kinds) - 1, 0, *range(len(kinds))])) if kinds else []
    # The first step alone is too slow, but of few steps it is all that there is time for.
    least = 2 if sum(kind.steps for kind in kinds) >= FEW else 1
    teacher, found, taken = trial.teacher, dict[int, list[float]](), list[float]()

    def to_read() -> Iterator[Draw]:
        """Also beyond the end, so that the reader is as busy as it will be."""
        while True:
            for place in order:
                yield from (kinds[place].typical[i % len(kinds[place].typical)] for i in range(TIMED + 1))

    batches = read_ahead(to_read(), read, ahead)
    began = _now(processes)
    for place in (place for place in order for _ in range(TIMED + 1)):
        kind = kinds[place]
        draw, pieces = next(batches)
        trial.teacher = (teacher or trial.average) if kind.taught else None
        train_one(trial, draw, pieces)
        now = _now(processes)
        taken.append(_agreed(now - began, processes))
        began = now
        found.setdefault(place, []).append(taken[-1])
        seconds = _by_work([one.work for one in kinds], _without_first(found))
        whole_s = sum(one.steps * s for one, s in zip(kinds, seconds, strict=True))
        if whole_s < SHORT_S or (len(taken) >= least and sum(taken) > min(MOST_S, MOST_SHARE * whole_s)):
            break
    batches.close()  # type: ignore[attr-defined]
    return _without_first(found), len(taken)


def _without_first(found: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return means without the first of each, in which memory is taken and kernels are chosen, unless it is alone."""
    return {place: float(np.mean(seconds[1:] or seconds)) for place, seconds in found.items()}


def _by_work(work: Sequence[float], found: Mapping[int, float]) -> list[float]:
    """Return seconds for each kind: its own, or those of its neighbours by work, beyond the last in proportion."""
    if not found:
        return [0.0 for _ in work]
    places = sorted(found)
    known, seconds = [work[place] for place in places], [found[place] for place in places]

    def between(one: float) -> float:
        nearest = min(max(one, known[0]), known[-1])
        return float(np.interp(one, known, seconds)) * one / nearest

    return [found[place] if place in found else between(one) for place, one in enumerate(work)]


def _now(processes: Processes) -> float:
    if processes.device.type == "cuda":
        torch.cuda.synchronize(processes.device)
    return time.monotonic()


def _agreed(seconds: float, processes: Processes) -> float:
    """Return the mean over all processes, so that all decide alike."""
    together = torch.tensor([seconds], dtype=torch.float64, device=processes.device)
    processes.add_up([together])
    return float(together.item()) / processes.count
