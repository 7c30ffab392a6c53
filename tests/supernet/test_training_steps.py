"""One step of a training: what is drawn, what the loss is, and which gradient follows from it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from foxnas.images.pixels import resize, to_input
from foxnas.images.symmetry import turn
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.training import training
from foxnas.supernet.training.losses import balanced, loss_of
from foxnas.supernet.training.precision import MixedPrecision
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Moment, Phase, Recipe
from foxnas.supernet.training.state import TrainingState
from foxnas.supernet.training.steps import Draw, draws, read_piece
from foxnas.supernet.training.train_step import MAX_GRADIENT_NORM, Diverged, train_step
from foxnas.supernet.training.training import train_supernet
from tests.support.kinds import PER_UNIT
from tests.support.trainings import ALL, RECIPE, SPACE, assert_same_weights, random_images


def a_state(space: SearchSpace, recipe: Recipe = RECIPE, mixed: MixedPrecision | None = None) -> TrainingState:
    torch.manual_seed(0)
    supernet = Supernet(space)
    for name, parameter in supernet.named_parameters():
        if name.endswith("norm.weight"):
            parameter.data.fill_(1.0)  # gains of zero would hide most gradients
    return TrainingState(supernet, recipe, mixed or MixedPrecision.of("cpu", recipe.precision))


def one_step(state: TrainingState, recipe: Recipe, arch: Arch, labels: np.ndarray | None = None) -> float:
    images, truth = random_images(32)
    draw = Draw(Moment(0, 0, 0), arch, np.arange(32), np.full(32, 0.9), {})
    labels = truth if labels is None else labels
    pieces = [read_piece(images, labels, recipe, draw, part) for part in range(recipe.batch_parts)]
    return train_step(state, recipe, Processes(), arch, pieces, 1e-3)


def test_the_gradient_of_a_batch_is_the_mean_over_its_parts() -> None:
    recipe, arch = replace(RECIPE, batch_parts=4), SPACE.draw(20, np.random.default_rng(0))
    state = a_state(SPACE)
    reference = copy.deepcopy(state.supernet)
    loss = one_step(state, recipe, arch)
    images, labels = random_images(32)
    losses = []
    for i in range(0, 32, 8):
        x = to_input(resize(images[i : i + 8], 20))
        losses.append(torch.nn.functional.cross_entropy(reference(x, arch), torch.from_numpy(labels[i : i + 8])))
    mean = torch.stack(losses).mean()
    mean.backward()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), MAX_GRADIENT_NORM)
    assert loss == pytest.approx(mean.item(), rel=1e-5)
    for ours, theirs in zip(state.supernet.parameters(), reference.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_the_teacher_is_the_largest_subnet_at_the_same_size() -> None:
    state, arch = a_state(SPACE), SPACE.smallest(20)
    state.promote_teacher()
    pupil, teacher = copy.deepcopy(state.supernet), state.teacher
    assert teacher is not None
    recipe = replace(RECIPE, distillation=1.0)
    wrong = (random_images(32)[1] + 3) % 10
    loss = one_step(state, recipe, arch, wrong)  # true labels count for nothing at distillation 1
    x = to_input(resize(random_images(32)[0], 20))
    with torch.no_grad():
        probabilities = teacher(x, SPACE.largest(20)).softmax(1)
        expected = -(probabilities * pupil(x, arch).log_softmax(1)).sum(1).mean()
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_distillation_mixes_true_and_soft_labels() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [np.log(3.0), 0.0]]), torch.tensor([0, 1])
    hard, soft = (np.log(2) + np.log(4)) / 2, torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    softened = (np.log(2) + np.log(4 / 3)) / 2
    assert loss_of(logits, labels, None, 0.7).item() == pytest.approx(hard)
    assert loss_of(logits, labels, soft, 0.7).item() == pytest.approx(0.3 * hard + 0.7 * softened)


def test_balanced_classes_count_as_if_all_had_equally_many_images() -> None:
    """Against a set in which the images of the rare classes are there several times."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [12, 4, 3])
    logits = torch.tensor(rng.normal(size=(19, 4)), dtype=torch.float32)
    soft = torch.tensor(rng.normal(size=(19, 4)), dtype=torch.float32).softmax(1)
    weights = balanced(labels, 4)  # of the fourth class there are none
    repeated = np.repeat(np.arange(19), np.array([1, 3, 4])[labels])
    for targets, distillation in ((None, 0.0), (soft, 0.7)):
        expected = loss_of(
            logits[repeated],
            torch.tensor(labels[repeated]),
            None if targets is None else targets[repeated],
            distillation,
        )
        found = loss_of(logits, torch.tensor(labels), targets, distillation, weights)
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert weights[labels].mean().item() == pytest.approx(1.0)


def test_a_recipe_says_whether_classes_are_balanced() -> None:
    images, _ = random_images(32)
    labels = np.repeat([0, 1], [28, 4])
    recipe = replace(RECIPE, phases=(Phase(1, 0.01, *ALL),), batch_size=32, warm_up_steps=1)
    alike, weighted = (
        train_supernet(SPACE, images, labels, replace(recipe, class_weights=weights)).state_dict()
        for weights in ("equal", "balanced")
    )
    assert not all(torch.equal(alike[name], weighted[name]) for name in alike)


def test_every_step_draws_a_subnet_of_its_phase_and_a_size() -> None:
    drawn: list[Arch] = []

    def note(*args: object) -> float:
        if args[-1]:  # else one that is timed beforehand, at a learning rate of 0
            drawn.append(next(a for a in args if isinstance(a, Arch)))
        return 1.0

    recipe = replace(RECIPE, phases=(Phase(20, 1e-3, (7,), (6,), (4,)), Phase(20, 1e-3, *ALL)), distillation=0.0)
    with mock.patch.object(training, "train_step", note):
        train_supernet(SPACE, *random_images(), recipe)
    first, second = drawn[:60], drawn[60:]
    assert {arch.image_size for arch in first} == {arch.image_size for arch in second} == set(SPACE.image_sizes)
    assert {arch.units for arch in first} == {SPACE.largest(16).units}
    assert len({arch.units for arch in second}) == 60


def test_each_image_of_a_part_is_turned_as_its_step_drew_it() -> None:
    images, labels = random_images(16)
    recipe = replace(RECIPE, batch_parts=2, symmetry="quarter-turns")
    *_, last = draws(recipe, SPACE, 16, 0, 0, None)
    expected = resize(images[last.rows], last.arch.image_size)
    turn(expected, last.turns, "quarter-turns")
    found = torch.cat([read_piece(images, labels, recipe, last, part)[0] for part in (0, 1)])
    assert torch.equal(found, to_input(expected))
    assert len(set((last.turns * 8).astype(int))) > 4
    again = list(draws(recipe, SPACE, 16, last.at.epoch, 0, None))[-1]
    assert (again.turns == last.turns).all()


def test_phases_draw_with_their_weights() -> None:
    phase = Phase(1, 1e-3, (3, 7), (2, 6), (2, 4), kernel_weights=(0.2, 0.8), depth_weights=(0.0, 1.0))
    rng = np.random.default_rng(0)
    drawn = [phase.draw(28, SPACE.choices, rng) for _ in range(200)]
    layers = [layer for arch in drawn for unit in arch.units for layer in unit]
    assert {depth for arch in drawn for depth in arch.depths} == {4}
    assert np.mean([k == 7 for k, _ in layers]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([e == 6 for _, e in layers]) == pytest.approx(0.5, abs=0.03)


def test_a_phase_draws_what_every_unit_has_and_of_the_rest_the_nearest() -> None:
    rng = np.random.default_rng(0)
    whole = Phase(1, 1e-3, (5,), (4,), (3,))
    assert {whole.draw(32, PER_UNIT.choices, rng) for _ in range(9)} == {PER_UNIT.largest(32)}
    every = Phase(1, 1e-3, (3, 5), (1, 2, 4), (1, 2, 3), depth_weights=(0.2, 0.6, 0.2))
    drawn = [PER_UNIT.validate(every.draw(32, PER_UNIT.choices, rng)) for _ in range(2000)]
    # The first unit has depths 1 and 2, at 0.2 to 0.6; the second all, with E in equal parts.
    assert np.mean([len(arch.units[0]) == 2 for arch in drawn]) == pytest.approx(0.75, abs=0.04)
    assert np.mean([len(arch.units[1]) == 2 for arch in drawn]) == pytest.approx(0.6, abs=0.04)
    assert np.mean([arch.units[1][0][1] == 1 for arch in drawn]) == pytest.approx(1 / 3, abs=0.04)


def test_the_learning_rate_warms_up_and_falls_as_half_a_cosine() -> None:
    recipe = replace(RECIPE, phases=(Phase(10, 1.0, *ALL), Phase(4, 0.5, *ALL)))
    assert recipe.learning_rate(Moment(0, 0, 0), 100) == pytest.approx(1 / 200)
    assert replace(recipe, warm_up_steps=10).learning_rate(Moment(0, 0, 4), 100) == pytest.approx(0.5, abs=1e-4)
    assert recipe.learning_rate(Moment(0, 5, 0), 100) == pytest.approx(0.5)
    assert recipe.learning_rate(Moment(1, 10, 0), 100) == pytest.approx(0.5)
    assert recipe.learning_rate(Moment(1, 13, 0), 100) == pytest.approx(0.25 * (1 + np.cos(np.pi * 3 / 4)))


def test_a_gradient_that_overflows_changes_no_weight() -> None:
    state = a_state(SPACE)
    before = copy.deepcopy(state.supernet.state_dict())
    nan = torch.full((), float("nan"))
    with (
        mock.patch("torch.nn.utils.clip_grad_norm_", return_value=nan),
        pytest.raises(Diverged, match="the norm of the gradient is nan"),
    ):
        one_step(state, RECIPE, SPACE.largest(20))
    assert_same_weights(state.supernet, before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_computes_about_the_same_and_keeps_its_weights_in_fp32(precision) -> None:
    """Autocast and loss scaling as on a GPU, made to run on the processor."""
    arch = SPACE.largest(20)
    exact, mixed = a_state(SPACE), a_state(SPACE, mixed=MixedPrecision.of("cpu", precision))
    for state in (exact, mixed):
        state.promote_teacher()
    assert one_step(mixed, RECIPE, arch) == pytest.approx(one_step(exact, RECIPE, arch), rel=0.02)
    assert {p.dtype for p in mixed.supernet.parameters()} == {torch.float32}
    assert all(p.grad.dtype == torch.float32 for p in mixed.supernet.parameters() if p.grad is not None)


def test_an_overflowing_loss_scale_is_halved_and_survives_a_cut(tmp_path: Path) -> None:
    def scaled(scale: float) -> MixedPrecision:
        return MixedPrecision("cpu", torch.float16, torch.amp.GradScaler("cpu", init_scale=scale))

    state = a_state(SPACE, mixed=scaled(2.0**100))
    before = copy.deepcopy(state.supernet.state_dict())
    one_step(state, RECIPE, SPACE.largest(20))
    assert_same_weights(state.supernet, before)
    assert state.mixed.scaler.get_scale() == 2.0**99
    state.save(tmp_path / "training.pt")
    continued = a_state(SPACE, mixed=scaled(1.0))
    continued.load(tmp_path / "training.pt")
    assert continued.mixed.scaler.get_scale() == 2.0**99
