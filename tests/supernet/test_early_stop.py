"""A phase of one subnet that stops when the verify split gets no better, and what goes on from there."""

from __future__ import annotations

import contextlib
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foxnas.accuracy.by_class import recalls
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.accuracy.verify_score import VerifyScore
from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.images.config import ViewConfig
from foxnas.rivals.config import OffTheShelfConfig
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.best_epoch import BestEpoch, Score
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.training import train_supernet
from tests.supernet.test_training import Cut, cut_after
from tests.support.scripts import script
from tests.support.trainings import ALL, RECIPE, SPACE, assert_same_weights, random_images, split_arrays

ONE = Phase(5, 3e-3, (7,), (6,), (4,), patience=1)
STOPPING = replace(RECIPE, phases=(ONE, Phase(2, 3e-3, *ALL)))


class Scored:
    """An early stop whose scores hang on the weights, as real ones do: up to the second epoch, then down."""

    def __init__(self, path: Path) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []
        self.first: float | None = None
        self.best = BestEpoch(path, self.score, 1)

    def score(self, network: Supernet) -> Score:
        self.seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return Score(50.0 - abs(len(self.seen) - 2))


def trained(recipe: Recipe, state: Path | None = None, **more: Any) -> Supernet:
    return train_supernet(SPACE, *random_images(), recipe, state, **more)


def test_the_next_phase_goes_on_from_the_best_epoch(tmp_path: Path) -> None:
    """Three epochs of five, and the second is the teacher and the beginning of the next phase."""
    scored = Scored(tmp_path / "x.best")
    with cut_after(3), pytest.raises(Cut):  # at the end of the first phase
        trained(STOPPING, tmp_path / "training.pt", best={0: scored.best})
    assert len(scored.seen) == 3
    state = torch.load(tmp_path / "training.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (5, 0)
    for part in ("supernet", "average"):
        assert all(torch.equal(tensor, scored.seen[1][name]) for name, tensor in state[part].items())
    with cut_after(1), pytest.raises(Cut):
        trained(STOPPING, tmp_path / "training.pt", save_every_s=0, best={0: scored.best})
    teacher = torch.load(tmp_path / "training.pt", weights_only=True)["teacher"]
    assert all(torch.equal(tensor, scored.seen[1][name]) for name, tensor in teacher.items())


def test_a_training_that_was_cut_stops_where_it_would_have(tmp_path: Path) -> None:
    def score(network: Supernet) -> Score:
        return Score(50.0 + float(network.head.weight.double().sum()))

    whole = BestEpoch(tmp_path / "whole.best", score, 1)
    expected = trained(STOPPING, best={0: whole}).state_dict()
    assert len(whole.scores()) < 5, "it stops"
    for steps in (2, 5, 9):
        state, best = tmp_path / f"{steps}.pt", BestEpoch(tmp_path / f"{steps}.best", score, 1)
        with contextlib.suppress(Cut), cut_after(steps):
            trained(STOPPING, state, save_every_s=0, best={0: best})
        assert_same_weights(trained(STOPPING, state, best={0: best}), expected)
        assert best.scores() == whole.scores()


def test_the_score_is_the_mean_over_image_sizes(tmp_path: Path) -> None:
    """Against the evaluation of each subnet alone; the network stays as it is."""
    files = split_arrays(tmp_path, SPACE)
    held = ArraysBySize(files["calibration"]), ArraysBySize(files["verify_images"])
    truth, accuracy = load_array(files["verify_labels"]), AccuracyConfig(recalibration_images=32, batch_size=16)
    torch.manual_seed(0)
    network = Supernet(SPACE)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    verify = VerifyScore([SPACE.largest(size) for size in (16, 20)], accuracy, *held, truth, [*"abcdefghij"])
    found, correct = verify.score(network), []
    for size in (16, 20):
        subnet = Preparation(network, held[0], 32, 16).subnet(SPACE.largest(size))
        correct.append(evaluate(subnet, held[1].at(size), truth, 16).correct)
    assert found.percent == pytest.approx(100 * np.mean(correct))
    rows = [row for row in recalls(np.concatenate(correct), np.tile(truth, 2), [*"abcdefghij"]) if row["images"]]
    worst = min(rows, key=lambda row: row["recall_percent"])
    assert found.more.endswith(
        f"worst {worst['label']} {worst['recall_percent']:.2f}% of {worst['images'] // 2} images"
    )
    assert verify.forecast_s(network) > 0
    assert_same_weights(network, before)


def test_the_workflows_script_stops_by_the_verify_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = split_arrays(tmp_path, SPACE)
    with caplog.at_level(logging.INFO):
        script("train_supernet")(
            space=SPACE, training=replace(STOPPING, phases=(replace(ONE, learning_rate=1e-9),)), dataset="arrays",
            accuracy=AccuracyConfig(recalibration_images=32, batch_size=16),
            view=ViewConfig(folder=None, channels=1, centre_share=1.0, corrupt_images="fail"), threads=1,
            state=tmp_path / "journals" / "training.pt", supernet=tmp_path / "supernet.safetensors", **files,
        )  # fmt: skip
    told = "\n".join(caplog.messages)
    assert re.search(r"5 looks at the verify split among them, unless it stops early", told)
    assert re.search(r"epoch 1: [\d.]+% on the verify split \(mean over classes [\d.]+%, worst \d .*\), the best", told)
    assert "stopped: 1 epochs in a row were no better than epoch 1" in told, "at such a rate no epoch is better"
    assert load_supernet(SPACE, tmp_path / "supernet.safetensors")
    (left,) = (tmp_path / "journals").iterdir()
    assert left.name.startswith("trained-")


def test_patience_is_for_a_phase_of_one_subnet() -> None:
    with pytest.raises(
        FoxnasError, match=r"patience is 2, but depths \[3, 4\] are several: .* phase of one subnet, or"
    ):
        Phase(3, 1e-3, (5,), (6,), (3, 4), patience=2)


def test_a_recipe_without_patience_is_recorded_as_before() -> None:
    """So that a training of before continues, and a finished one is not done again."""
    (plain_phase, _), (patient, _) = (one.lasting()["phases"] for one in (RECIPE, STOPPING))
    assert "patience" not in plain_phase
    assert patient["patience"] == 1


def test_rivals_have_the_first_phases_patience() -> None:
    rivals = OffTheShelfConfig.model_validate({"networks": ["efficientnet-lite0"], "epochs": 9})
    recipe = rivals.recipe(rivals.networks[0], STOPPING)
    assert (recipe.phases[0].patience, recipe.phases[0].epochs) == (1, 9)
