"""Quantisation-aware training: its forward pass against the runtime, its outcome against plain rounding."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

from foxnas.errors import FoxnasError
from foxnas.images.pixels import to_input
from foxnas.int8.export import export_int8
from foxnas.int8.ranges import value_ranges
from foxnas.int8.serving import Int8Model, score
from foxnas.int8.training import FakeQuantised, load_folded, save_folded, train_quantised
from foxnas.space.layers import UnitSpec
from foxnas.space.operators import input_shape
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.state import TrainingState
from tests.support.exports import blobs, folded, torch_logits
from tests.support.kinds import KINDS, every_layer


def apart(subnet: Subnet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many output steps the fake-quantised logits lie from the runtime's, and those in float."""
    ranges = value_ranges(subnet, images)
    model = Int8Model(export_int8(subnet, images, ranges=ranges, corrected=False))
    network = FakeQuantised(subnet, ranges)
    with torch.no_grad():
        fake = network(to_input(images)).numpy()
    step = (model.logits(images).max() - model.logits(images).min()) / 255
    return tuple(np.abs(found - model.logits(images)) / step for found in (fake, torch_logits(subnet, images)))


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda one: getattr(one, "name", str(one)))
def test_the_forward_pass_is_the_runtimes_on_every_kind_of_operator(space: SearchSpace, size: int) -> None:
    """Within a step. Its HARD_SWISH alone computes in 16 bits, and random weights make more of that in every layer."""
    arch = every_layer(space, size)
    images = blobs(32, input_shape(space, arch)[1:], 0)
    fake, real = apart(folded(space, arch, images, 0), images)
    if "h-swish" in (space.head_activation, *(unit.activation for unit in space.units)):
        assert fake.mean() < 0.8 * real.mean()
    else:
        assert (fake < 1.1).mean() > 0.95
        assert (real < 1.1).mean() < 0.5


SPACE = SearchSpace(
    name="quarters",
    image_sizes=(16,),
    kernel_sizes=(3,),
    expansion_ratios=(2,),
    depths=(2,),
    stem_width=8,
    stem_stride=2,
    units=(UnitSpec(8, 2, 2), UnitSpec(8, 1, 2)),
    head_width=16,
    image_channels=1,
    classes=4,
)
ARCH = SPACE.smallest(16)
RECIPE = Recipe(
    batch_size=16, average_decay=0.0, distillation=0.5, phases=(Phase(24, 1e-2, (3,), (2,), (2,)),)
)  # fmt: skip
SHORT = replace(RECIPE, phases=(replace(RECIPE.phases[0], epochs=6),))


def quarters(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs, and their quarter from the top; a mirrored image keeps it."""
    images, labels = blobs(count, (16, 16, 1), seed), np.arange(count) % 4 // 2
    return images, labels.astype(np.int64)


@pytest.fixture(scope="module")
def outlying() -> Subnet:
    """A subnet that tells top from bottom, and the same in float with an outlying channel at its end.

    The features that it goes by share the last layer's one scale with weights 250 times as large, of a feature that
    is always 0: rounded, nearly all are gone.
    """
    torch.manual_seed(0)
    images, labels = quarters(64, 0)
    x, y = to_input(images), torch.from_numpy(labels)
    supernet = Supernet(SPACE).train()
    optimizer = torch.optim.Adam(supernet.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(supernet(x, ARCH), y).backward()
        optimizer.step()
    subnet = Subnet(supernet, ARCH).train()
    torch_logits(subnet, images)
    subnet.fold()
    subnet.head.conv.weight[0], subnet.head.conv.bias[0] = 0.0, -1.0
    largest = float(subnet.classifier.weight[:, 1:].abs().max())
    subnet.classifier.weight[:, 0] = 250 * largest * torch.tensor([1.0, -1.0, 1.0, -1.0])
    return subnet


def test_it_wins_back_what_rounding_loses_to_outlying_channels(outlying: Subnet) -> None:
    images, labels = quarters(64, 0)
    others, truth = quarters(200, 1)
    ranges = value_ranges(outlying, images)
    in_float = 100 * (torch_logits(outlying, others).argmax(1) == truth).mean()
    plain = score(export_int8(outlying, images), others, truth, 1, True).percent["int8_top1_percent"]
    trained = train_quantised(outlying, ranges, images, labels, RECIPE)
    aware = score(export_int8(trained, images, corrected=False, ranges=ranges), others, truth, 1, True).percent[
        "int8_top1_percent"
    ]
    assert in_float > 97
    assert plain < 90
    assert aware > 97


class Cut(Exception):
    pass


@pytest.fixture(scope="module")
def uninterrupted(outlying: Subnet) -> Subnet:
    images, labels = quarters(64, 0)
    return train_quantised(outlying, value_ranges(outlying, images), images, labels, SHORT)


@pytest.mark.parametrize("step", [1, 7, 24])  # of 24: in two epochs, and at the end
def test_it_continues_bit_for_bit_where_it_was_cut(
    outlying: Subnet, uninterrupted: Subnet, tmp_path: Path, step: int
) -> None:
    images, labels = quarters(64, 0)
    ranges, state = value_ranges(outlying, images), tmp_path / "aware.pt"
    save, saves = TrainingState.save, 0

    def save_and_cut(self: TrainingState, path: Path) -> None:
        nonlocal saves
        save(self, path)
        saves += 1
        if saves == step:
            raise Cut

    with mock.patch.object(TrainingState, "save", save_and_cut), pytest.raises(Cut):
        train_quantised(outlying, ranges, images, labels, SHORT, state, save_every_s=0)
    continued = train_quantised(outlying, ranges, images, labels, SHORT, state)
    for name, tensor in uninterrupted.state_dict().items():
        assert torch.equal(tensor, continued.state_dict()[name]), name
    with pytest.raises(FoxnasError, match=r"is a training with ranges.0.1 "):
        train_quantised(outlying, ranges * 2, images, labels, SHORT, state)


def test_folded_weights_come_back_as_they_were_written_or_not_at_all(outlying: Subnet, tmp_path: Path) -> None:
    path, blank = tmp_path / "folded.safetensors", copy.deepcopy(outlying)
    save_folded(outlying, path)
    for tensor in blank.state_dict().values():
        tensor.zero_()
    for name, tensor in load_folded(blank, path).state_dict().items():
        assert torch.equal(tensor, outlying.state_dict()[name]), name
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(FoxnasError, match=r"folded.safetensors: was edited since it was written"):
        load_folded(blank, path)
