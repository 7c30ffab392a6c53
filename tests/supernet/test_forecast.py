"""What a training will take, said before it begins: against the steps that it then does."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import numpy as np
import pytest
import torch

from foxnas.space.arch import Arch
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.training import forecast, training
from foxnas.supernet.training.forecast import Forecast, foresee, kinds_to_come, steps_left
from foxnas.supernet.training.precision import MixedPrecision
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.state import TrainingState
from foxnas.supernet.training.steps import Draw, draws
from foxnas.supernet.training.training import train_supernet
from tests.supernet.test_training import Cut, cut_after
from tests.support.trainings import ALL, RECIPE, assert_same_weights, random_images

#: Ten steps an epoch.
IMAGES = 160


class Clock:
    """Time that passes by a rule: seconds of a step by its work."""

    def __init__(self, space: SearchSpace, seconds: Callable[[float], float]) -> None:
        self.space, self.seconds, self.now_s = space, seconds, 0.0

        self.macs = cache(lambda arch: costs_of(space, arch).macs)

    def work(self, arch: Arch, taught: bool) -> float:
        return 3 * self.macs(arch) + taught * self.macs(self.space.largest(arch.image_size))

    def takes(self, arch: Arch, taught: bool) -> float:
        return self.seconds(self.work(arch, taught))

    def train_one(self, state: TrainingState, draw: Draw, pieces: list) -> None:
        self.now_s += self.takes(draw.arch, state.teacher is not None)


def a_state(space: SearchSpace, recipe: Recipe, epoch: int = 0, step: int = 0) -> TrainingState:
    state = TrainingState(Supernet(space), recipe, MixedPrecision.of("cpu", "fp32"))
    state.epoch, state.step = epoch, step
    if step:
        for draw in draws(recipe, space, IMAGES, epoch, 0, None):
            if draw.at.step == step:
                break
            state.draws = draw.after
    return state


def foreseen(
    clock: Clock,
    recipe: Recipe,
    epoch: int = 0,
    step: int = 0,
    checks: Mapping[int, Callable[[Supernet], float]] = MappingProxyType({}),
) -> Forecast:
    def now(processes: Processes) -> float:
        return clock.now_s

    state = a_state(clock.space, recipe, epoch, step)
    read: Callable[[Draw], list] = lambda draw: []  # noqa: E731
    with mock.patch.object(forecast, "_now", now):
        return foresee(state, recipe, clock.space, IMAGES, None, read, 0, clock.train_one, Processes(), checks)


@pytest.fixture
def several(mini: SearchSpace) -> SearchSpace:
    return replace(mini, image_sizes=(16, 20, 24, 28, 32))


LONG = replace(RECIPE, phases=(Phase(4, 3e-3, (7,), (6,), (4,)), Phase(3, 3e-3, *ALL), Phase(30, 3e-3, *ALL)))


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (5, 0), (30, 9)])
def test_it_is_what_all_steps_to_come_take(several: SearchSpace, epoch: int, step: int) -> None:
    """Against the steps themselves, one by one: sizes, subnets, teacher and what is done already count."""
    clock = Clock(several, lambda work: 0.05 + work / 2e7)
    found = foreseen(clock, LONG, epoch, step)
    true = [0.0] * len(LONG.phases)
    state = a_state(several, LONG, epoch, step)
    for draw in draws(LONG, several, IMAGES, epoch, step, state.draws):
        true[draw.at.phase] += clock.takes(draw.arch, draw.at.phase > 0)
    assert found.rest_s(epoch, step) == pytest.approx(true, rel=0.06)
    assert sum(found.rest_s(epoch, step)) == pytest.approx(sum(true), rel=0.05)
    assert sum(steps_left(LONG, 10, epoch, step)) == sum(1 for _ in draws(LONG, several, IMAGES, epoch, step, None))


@pytest.mark.parametrize("largest_step_s", [1.0, 30.0])
def test_it_takes_a_small_share_of_the_time_that_it_foretells(several: SearchSpace, largest_step_s: float) -> None:
    """What there is no time to time is taken from its neighbours, whatever the sizes are."""
    most = Clock(several, float).work(several.largest(32), True)
    clock = Clock(several, lambda work: largest_step_s * (0.1 + 0.9 * work / most))
    total_s = sum(foreseen(clock, LONG).rest_s(0, 0))
    assert clock.now_s <= min(forecast.MOST_S, forecast.MOST_SHARE * total_s) + largest_step_s
    true_s = sum(clock.takes(d.arch, d.at.phase > 0) for d in draws(LONG, several, IMAGES, 0, 0, None))
    assert total_s == pytest.approx(true_s, rel=0.12)


def test_a_short_training_is_told_by_one_step(mini: SearchSpace) -> None:
    clock = Clock(mini, lambda work: work / 1e11)
    found = foreseen(clock, RECIPE)
    assert found.timed == 1
    assert sum(found.rest_s(0, 0)) == pytest.approx(
        sum(clock.takes(d.arch, d.at.phase > 0) for d in draws(RECIPE, mini, IMAGES, 0, 0, None)), rel=0.1
    )


def test_looks_at_the_verify_split_are_counted(mini: SearchSpace) -> None:
    clock = Clock(mini, lambda work: 1.0)
    found = foreseen(clock, LONG, 1, 7, checks={0: lambda network: 9.0, 2: lambda network: 2.0})
    left = steps_left(LONG, 10, 1, 7)
    assert found.rest_s(1, 7) == pytest.approx([left[0] + 3 * 9, left[1], left[2] + 30 * 2])
    said = found.said(1, 7)
    assert said.startswith("the rest of this training will take 7 min 20 s on this machine (353 steps, ")
    assert "phase 1 50 s, phase 2 30 s, phase 3 6 min 0 s" in said.replace("50 s, phase 3", "50 s, phase 3")
    assert said.endswith(", 33 looks at the verify split among them, unless it stops early)")


def test_it_changes_nothing_of_the_training(
    mini: SearchSpace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.object(training, "_foresee", return_value=None):
        without = train_supernet(mini, *random_images(), RECIPE).state_dict()
    state = tmp_path / "training.pt"
    with caplog.at_level(logging.INFO):
        with cut_after(5), pytest.raises(Cut):
            train_supernet(mini, *random_images(), RECIPE, state, save_every_s=0)
        with mock.patch.object(training, "StepLog", side_effect=Cut), pytest.raises(Cut):  # killed right after it
            train_supernet(mini, *random_images(), RECIPE, state)
        assert_same_weights(train_supernet(mini, *random_images(), RECIPE, state), without)
    said = [line for line in caplog.messages if "on this machine" in line]
    assert [line.split(" will take ")[0] for line in said] == ["this training", *["the rest of this training"] * 2]
    assert re.fullmatch(r"trained in [\d.]+ s; [\d.]+ s were expected", caplog.messages[-1])


def test_weights_that_are_no_numbers_are_left_to_the_training_to_say(mini: SearchSpace) -> None:
    supernet = Supernet(mini)
    with torch.no_grad():
        supernet.head.weight.fill_(float("nan"))
    with pytest.raises(training.FoxnasError, match="diverged in phase 1, epoch 1, step 1 of 3"):
        train_supernet(mini, *random_images(), RECIPE, initial=supernet)


def test_kinds_are_those_of_the_steps_to_come(mini: SearchSpace) -> None:
    state = a_state(mini, RECIPE)
    kinds = kinds_to_come(RECIPE, mini, 48, state, None)
    drawn = list(draws(RECIPE, mini, 48, 0, 0, None))
    for kind in kinds:
        alike = [d for d in drawn if (d.at.phase, d.arch.image_size) == (kind.phase, kind.size)]
        assert kind.steps == pytest.approx(len(alike))
        teacher = kind.taught * costs_of(mini, mini.largest(kind.size)).macs
        assert kind.work == pytest.approx(3 * np.mean([costs_of(mini, d.arch).macs for d in alike]) + teacher)
    assert sum(kind.steps for kind in kinds) == pytest.approx(len(drawn))
    assert {kind.taught for kind in kinds if kind.phase == 0} == {False}


def test_only_one_architecture_has_one_kind(mini: SearchSpace) -> None:
    arch = mini.smallest(20)
    (kind,) = kinds_to_come(replace(RECIPE, phases=RECIPE.phases[:1]), mini, 48, a_state(mini, RECIPE), arch)
    assert (kind.size, kind.steps, kind.work) == (20, 6, 3 * costs_of(mini, arch).macs)
