"""Bias correction: what int8 shifts everywhere alike is taken back, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch

from foxnas.int8.config import Exporter
from foxnas.int8.correction import _rounded, correct_biases
from foxnas.int8.export import export_int8
from foxnas.int8.packing import pack
from foxnas.int8.reading import read_model, read_summary
from foxnas.int8.serving import Int8Model
from foxnas.space.arch import Arch
from foxnas.space.operators import Kind, input_shape, steps_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.subnet import Subnet
from tests.support.exports import blobs, folded, sample
from tests.support.kinds import KINDS, every_layer
from tests.support.noise import inner_values, layer_noise, values_of


def on_a_plain_ground(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Small bright things on black, as the demo's scenes are."""
    images = blobs(n, shape, seed).astype(int)
    return np.where(images > 60, images, 0).astype(np.uint8)


@pytest.fixture(params=get_args(Exporter))
def exporter(request: pytest.FixtureRequest) -> Exporter:
    """What wrote the file."""
    return request.param


def as_rounded(space: SearchSpace, arch: Arch, n: int, exporter: Exporter) -> tuple[Subnet, np.ndarray, bytes]:
    """A subnet, images on a plain ground, and the file for both with biases that are only rounded."""
    images = on_a_plain_ground(n, input_shape(space, arch)[1:], 0)
    subnet = folded(space, arch, images, 0)
    return subnet, images, export_int8(subnet, images, exporter=exporter, corrected=False)


def biases(content: bytes) -> Iterator[tuple[int, np.ndarray]]:
    """The place of every operator with a bias, and that bias."""
    model = read_model(content)
    (graph,) = model.subgraphs
    for place, operator in enumerate(graph.operators):
        if len(operator.inputs) == 3:
            yield place, model.buffers[graph.tensors[operator.inputs[2]].buffer].data.view(np.int32)


def mean_errors(subnet: Subnet, content: bytes, images: np.ndarray) -> list[float]:
    """For each linear convolution, how far its channels' means, as the runtime computes them, lie off; in scales."""
    summary, found = read_summary(content), []
    real = inner_values(content, summary, images)
    exact = values_of(subnet, real[0])
    for number, step in enumerate(steps_of(subnet.space, subnet.arch)):
        if step.kind is Kind.CONV and step.activation == "none":
            off = (real[number + 1] - exact[number + 1]).mean((0, 2, 3)).abs().mean()
            found.append(float(off) / summary.tensors[summary.operators[number + 1].outputs[0]].scale[0])
    return found


def test_means_are_those_of_the_float_network(mini: SearchSpace, exporter: Exporter) -> None:
    """By the runtime's own arithmetic, on images that neither calibrated nor corrected."""
    arch = mini.largest(28)
    images, others = (on_a_plain_ground(256, input_shape(mini, arch)[1:], seed) for seed in (0, 1))
    subnet = folded(mini, arch, images, 0)
    rounded, corrected = (
        export_int8(subnet, images, exporter=exporter, corrected=corrected) for corrected in (False, True)
    )
    before, after = mean_errors(subnet, rounded, others), mean_errors(subnet, corrected, others)
    assert np.mean(after) < 0.6 * np.mean(before)
    losses = [layer_noise(subnet, content, others)[-1].total_db for content in (rounded, corrected)]
    assert losses[1] > losses[0], "the logits"


def test_only_biases_change(mini: SearchSpace, exporter: Exporter) -> None:
    arch = mini.draw(24, np.random.default_rng(0))
    subnet, images, rounded = as_rounded(mini, arch, 32, exporter)
    corrected = correct_biases(subnet, rounded, images)
    assert read_summary(corrected) == read_summary(rounded)
    one, other = read_model(rounded), read_model(corrected)
    (graph,) = one.subgraphs
    of_biases = {graph.tensors[operator.inputs[2]].buffer for operator in graph.operators if len(operator.inputs) == 3}
    moved = 0
    for place, (before, after) in enumerate(zip(one.buffers, other.buffers, strict=True)):
        if place in of_biases:
            moved += int((before.data.view(np.int32) != after.data.view(np.int32)).sum())
        else:
            assert (before.data is None) == (after.data is None)
            assert before.data is None or (before.data == after.data).all()
    assert moved
    assert len(corrected) == len(pack(one))
    assert Int8Model(corrected).logits(images).shape == (32, 10)


def test_what_is_corrected_has_nothing_left_to_correct(mini: SearchSpace, exporter: Exporter) -> None:
    arch = mini.draw(20, np.random.default_rng(1))
    subnet, images, rounded = as_rounded(mini, arch, 32, exporter)
    once = correct_biases(subnet, rounded, images)
    at_first, once_more = (
        sum(
            np.abs(before.astype(int) - after).sum()
            for (_, before), (_, after) in zip(biases(a), biases(b), strict=True)
        )
        for a, b in ((rounded, once), (once, correct_biases(subnet, once, images)))
    )
    assert once_more < 0.01 * at_first  # roundings of the biases themselves


def test_the_file_does_not_depend_on_the_number_of_threads(mini: SearchSpace, exporter: Exporter) -> None:
    arch = mini.largest(40)
    subnet, images, rounded = as_rounded(mini, arch, 64, exporter)
    files = set()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        files.add(correct_biases(subnet, rounded, images))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert len(files) == 1


def test_untouched_steps_keep_their_biases(mini: SearchSpace, exporter: Exporter) -> None:
    arch = mini.smallest(16)
    subnet, images, rounded = as_rounded(mini, arch, 16, exporter)
    weighted = [number for number, step in enumerate(steps_of(mini, arch)) if step.weight]
    left = set(weighted[2:5])
    corrected = dict(biases(correct_biases(subnet, rounded, images, left)))
    kept = {place - 1 for place, bias in biases(rounded) if (bias == corrected[place]).all()}
    assert left <= kept
    assert set(weighted) - left > kept - left


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_every_kind_of_block_is_corrected(space: SearchSpace, size: int, exporter: Exporter) -> None:
    subnet, images = sample(space, every_layer(space, size))
    rounded, corrected = (
        export_int8(subnet, images, exporter=exporter, corrected=corrected) for corrected in (False, True)
    )
    moved = [(b != a).any() for (_, b), (_, a) in zip(biases(rounded), biases(corrected), strict=True)]
    assert np.mean(moved) > 0.9
    assert read_summary(corrected) == read_summary(rounded)


@pytest.mark.parametrize("what", ["buffer", "tensor"])
def test_equal_biases_that_are_written_once_are_corrected_apart(
    mini: SearchSpace, what: str, exporter: Exporter
) -> None:
    arch = mini.smallest(16)
    subnet, images, rounded = as_rounded(mini, arch, 16, exporter)
    model = read_model(rounded)
    (graph,) = model.subgraphs
    weighted = [operator for operator in graph.operators if len(operator.inputs) == 3]
    alike = [o for o in weighted if len(graph.tensors[o.inputs[2]].quantization.scale) == mini.units[-1].width]
    first, second = alike[-2:]
    if what == "buffer":
        graph.tensors[second.inputs[2]].buffer = graph.tensors[first.inputs[2]].buffer
    else:
        second.inputs = [*second.inputs[:2], first.inputs[2]]
    places = [graph.operators.index(operator) for operator in (first, second)]
    corrected = dict(biases(correct_biases(subnet, pack(model), images)))
    assert (corrected[places[0]] != corrected[places[1]]).any()
    proper = dict(biases(correct_biases(subnet, rounded, images)))
    assert (corrected[places[0]] == proper[places[0]]).all()


def test_what_is_left_of_values_in_int8_is_what_pytorch_leaves() -> None:
    rng = np.random.default_rng(0)
    for zero_point in (-128, -3, 0, 127):
        scale = np.float32(rng.uniform(1e-4, 3))
        values = rng.normal(0, 60, 4000).astype(np.float32) * scale
        values[:500] = (rng.integers(-300, 300, 500) + 0.5) * scale  # ties
        stored = SimpleNamespace(scale=[scale], zeroPoint=[zero_point])
        expected = torch.fake_quantize_per_tensor_affine(torch.from_numpy(values), float(scale), zero_point, -128, 127)
        assert torch.equal(_rounded(torch.from_numpy(values), stored), expected)
