"""One architecture trained alone: cut, it continues; equal trainings are done once."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from foxnas.errors import FoxnasError
from foxnas.images.pixels import resize, to_input
from foxnas.space.arch import Arch
from foxnas.supernet.finishing_config import FinishingConfig
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.best_epoch import BestEpoch, Score
from foxnas.supernet.training.fine_tuning import fine_tune, kept
from foxnas.supernet.training.recipe import Recipe
from tests.supernet.test_training import Cut, cut_after, overflowing
from tests.support.forked_python import start
from tests.support.trainings import SPACE, assert_same_weights, random_images

CONFIG = FinishingConfig(epochs=3, batch_size=16, learning_rate=3e-3, weight_decay=0.0)


@pytest.fixture(scope="module")
def arch() -> Arch:
    return SPACE.draw(20, np.random.default_rng(3))


@pytest.fixture(scope="module")
def recipe(arch: Arch) -> Recipe:
    return CONFIG.fine_tuning(arch, 0.08, "equal", "mirror")


@pytest.fixture(scope="module")
def inherited() -> Supernet:
    torch.manual_seed(0)
    return Supernet(SPACE)


@pytest.fixture(scope="module")
def uninterrupted(inherited: Supernet, arch: Arch, recipe: Recipe) -> Supernet:
    return fine_tune(inherited, arch, *random_images(), recipe)


@pytest.mark.parametrize("steps", [1, 3, 9])  # of 9: in an epoch, at its end, at the end of all
def test_it_continues_bit_for_bit_where_it_was_cut(
    inherited: Supernet, arch: Arch, recipe: Recipe, uninterrupted: Supernet, tmp_path: Path, steps: int
) -> None:
    state = tmp_path / "fine-tuned.pt"
    with cut_after(steps), pytest.raises(Cut):
        fine_tune(inherited, arch, *random_images(), recipe, state, save_every_s=0)
    assert_same_weights(fine_tune(inherited, arch, *random_images(), recipe, state), uninterrupted.state_dict())


def test_it_learns_and_leaves_what_the_architecture_has_not(
    inherited: Supernet, arch: Arch, uninterrupted: Supernet
) -> None:
    images, labels = random_images()
    x, y = to_input(resize(images, arch.image_size)), torch.from_numpy(labels)
    with torch.no_grad():
        before, after = (float(F.cross_entropy(net(x, arch), y)) for net in (inherited, uninterrupted))
    assert after < before
    for unit, (blocks, layers) in enumerate(zip(inherited.units, arch.units, strict=True)):
        for number, (_, expansion) in enumerate(layers):
            old, new = (net.units[unit][number].project.weight for net in (inherited, uninterrupted))
            used = blocks[number].spec.in_width * expansion
            assert torch.equal(old[:, used:], new[:, used:])
            assert not torch.equal(old[:, :used], new[:, :used])
        for number in range(len(layers), len(blocks)):
            assert_same_weights(uninterrupted.units[unit][number], blocks[number].state_dict())


def test_without_distillation_there_is_no_teacher(inherited: Supernet, arch: Arch, recipe: Recipe) -> None:
    alone = fine_tune(inherited, arch, *random_images(), replace(recipe, distillation=0.0))
    with pytest.raises(AssertionError):
        assert_same_weights(alone, fine_tune(inherited, arch, *random_images(), recipe).state_dict())


def test_what_goes_wrong_names_the_keys_of_the_section(inherited: Supernet, arch: Arch, recipe: Recipe) -> None:
    with pytest.raises(FoxnasError, match=r"^finishing.batch_size is 64; it must be at most the 48 images"):
        fine_tune(inherited, arch, *random_images(), replace(recipe, batch_size=64))
    wild = replace(recipe, phases=(overflowing(recipe.phases[0]),))
    with pytest.raises(FoxnasError, match=r"training diverged in phase 1, .*; lower finishing.learning_rate, inf"):
        fine_tune(inherited, arch, *random_images(), wild)


def test_a_state_of_another_architecture_or_supernet_is_refused(
    inherited: Supernet, arch: Arch, recipe: Recipe, tmp_path: Path
) -> None:
    state = tmp_path / "fine-tuned.pt"
    with cut_after(1), pytest.raises(Cut):
        fine_tune(inherited, arch, *random_images(), recipe, state)
    with pytest.raises(FoxnasError, match=r"is a training with (recipe|arch)"):
        fine_tune(inherited, SPACE.smallest(20), *random_images(), recipe, state)
    with pytest.raises(FoxnasError, match=r"is a training with inherited_sha256"):
        fine_tune(Supernet(SPACE), arch, *random_images(), recipe, state)


class Scored(BestEpoch[Supernet]):
    """Scores by a list, and keeps what it was shown."""

    def __init__(self, path: Path, scores: Sequence[float], patience: int) -> None:
        self.shown: list[Supernet] = []
        super().__init__(path, lambda network: self._next(network, scores), patience)

    def _next(self, network: Supernet, scores: Sequence[float]) -> Score:
        self.shown.append(copy.deepcopy(network))
        return Score(scores[len(self.scores()) if self._path.exists() else 0])


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "taken"),
    [((1.0, 2.0, 3.0), 1, 3, 2), ((5.0, 4.0, 9.0), 1, 2, 0), ((5.0, 4.0, 9.0), 2, 3, 2), ((5.0, 5.0, 5.0), 2, 3, 0)],
)
def test_it_stops_when_no_epoch_gets_better_and_takes_the_best(
    inherited: Supernet, arch: Arch, recipe: Recipe, tmp_path: Path, scores: Sequence[float], patience: int,
    epochs: int, taken: int,
) -> None:  # fmt: skip
    best = Scored(tmp_path / "x.best", scores, patience)
    found = fine_tune(inherited, arch, *random_images(), recipe, best=best)
    assert len(best.shown) == epochs
    assert_same_weights(found, best.shown[taken].state_dict())
    assert best.scores() == list(scores[:epochs])


@pytest.mark.parametrize("steps", [2, 4, 6])  # of 6: in each of two epochs, and at the stop, before a third
def test_stopping_is_the_same_for_a_training_that_was_cut(
    inherited: Supernet, arch: Arch, recipe: Recipe, tmp_path: Path, steps: int
) -> None:
    """The score hangs on the weights, as a real one does."""

    def score(network: Supernet) -> Score:
        return Score(50.0 - float(network.head.weight.double().sum()))

    whole = fine_tune(inherited, arch, *random_images(), recipe, best=BestEpoch(tmp_path / "whole.best", score, 1))
    assert len(BestEpoch(tmp_path / "whole.best", score, 1).scores()) == 2, "it stops"
    state, best = tmp_path / "cut.pt", BestEpoch(tmp_path / "cut.best", score, 1)
    with contextlib.suppress(Cut), cut_after(steps):
        fine_tune(inherited, arch, *random_images(), recipe, state, save_every_s=0, best=best)
    assert_same_weights(fine_tune(inherited, arch, *random_images(), recipe, state, best=best), whole.state_dict())
    assert best.scores() == BestEpoch(tmp_path / "whole.best", score, 1).scores()


#: Trains once what is asked for, by `make`, in the folder that it runs in.
KEEP = """
import os
from pathlib import Path

from foxnas.supernet.training.fine_tuning import kept

def make(state, path):
    with (path.parent / "made").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    state.write_text("half")
    path.write_text("whole")

kept(Path.cwd(), "fine-tuned", ["the same"], make)
"""


def test_equal_trainings_are_done_once_by_processes_side_by_side(tmp_path: Path) -> None:
    processes = [start(["-c", KEEP], tmp_path, os.environ, jobs=True) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len((tmp_path / "made").read_text().splitlines()) == 1

    def make(state: Path, path: Path) -> None:
        state.write_text("half")
        path.write_text("another whole")

    first = kept(tmp_path, "fine-tuned", ["the same"], make)
    assert first.read_text() == "whole"
    other = kept(tmp_path, "fine-tuned", ["another"], make)
    assert {path.name for path in tmp_path.iterdir()} == {"made", other.name}, "the one before and states are gone"
