"""Our own int8 numbers: ranges against every value computed at once, scales against closed forms and the runtime."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from foxnas.config.whole import read_config
from foxnas.errors import FoxnasError
from foxnas.images.pixels import to_input
from foxnas.int8 import converter
from foxnas.int8.correction import correct_biases
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.quantisation import value_scale
from foxnas.int8.ranges import PIXELS, value_ranges
from foxnas.int8.reading import read_model, read_summary
from foxnas.int8.serving import Int8Model
from foxnas.space.operators import Kind, input_shape, steps_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.subnet import Subnet
from tests.support.exports import Exported, blobs, export, folded, taught, torch_logits
from tests.support.forked_python import python
from tests.support.int8_model import REPOSITORY, shapes
from tests.support.kinds import CPU_LIKE, FUSED, FUSED_SYMMETRIC, KINDS, OFA_LIKE, every_layer
from tests.support.noise import layer_noise, values_of
from tests.support.prepared import prepare_subnet


def sqnr_db(subnet: Subnet, content: bytes, images: np.ndarray) -> float:
    """Signal-to-quantisation-noise ratio of the logits."""
    expected, found = torch_logits(subnet, images), Int8Model(content).logits(images)
    return float(10 * np.log10(((expected - expected.mean(0)) ** 2).mean() / ((found - expected) ** 2).mean()))


def scales_of(content: bytes) -> list[tuple[float, int]]:
    """Scale and zero point of the input and of each step's output."""
    summary = read_summary(content)
    outputs = [summary.tensors[operator.outputs[0]] for operator in summary.operators[:-1]]
    return [(tensor.scale[0], tensor.zero_point[0]) for tensor in outputs]


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_the_file_is_the_converters_operator_for_operator(space: SearchSpace, size: int) -> None:
    arch = every_layer(space, size)
    converted = export(space, arch)
    own = export_int8(converted.subnet, converted.images)
    assert read_summary(own).operators == read_summary(converted.int8).operators
    assert read_summary(own).tensors == read_summary(converted.int8).tensors
    assert read_summary(own) == read_summary(ProbeWriter(space).write(arch))
    hard_swishes = sum(operator.name == "HARD_SWISH" for operator in read_summary(own).operators)
    assert Int8Model(own).fallback_operators() == 2 + hard_swishes


def lead_db(subnet: Subnet, images: np.ndarray, others: np.ndarray) -> list[float]:
    """By how much our own file's logits are nearer to float than the converter's; the same with corrected biases."""
    converted, untouched = converter.convert_int8(subnet, images)
    ranges = value_ranges(subnet, images)
    files = [
        (export_int8(subnet, images, corrected=False, ranges=ranges), converted),
        (export_int8(subnet, images, ranges=ranges), correct_biases(subnet, converted, images, untouched)),
    ]
    return [sqnr_db(subnet, own, others) - sqnr_db(subnet, theirs, others) for own, theirs in files]


@pytest.mark.parametrize("space", [FUSED, FUSED_SYMMETRIC, OFA_LIKE, CPU_LIKE], ids=lambda space: space.name)
def test_no_space_loses_to_the_converter(space: SearchSpace) -> None:
    """Over random subnets that have learnt little, within two standard errors; on images that set no range."""
    leads = []
    for seed in range(6):
        size = space.image_sizes[seed % len(space.image_sizes)]
        arch = space.draw(size, np.random.default_rng([seed, size]))
        (subnet, images), others = taught(space, arch, False, 20), blobs(64, input_shape(space, arch)[1:], 100 + seed)
        leads.append(lead_db(subnet, images, others))
    assert (np.mean(leads, axis=0) + 2 * np.std(leads, axis=0, ddof=1) / np.sqrt(len(leads)) > 0).all(), leads


def test_subnets_of_the_shipped_supernet_are_nearer_to_float_than_the_converters() -> None:
    config = read_config(REPOSITORY / "config" / "config.yaml")
    space, rng, leads = config.space, np.random.default_rng(0), []
    supernet = load_supernet(space, REPOSITORY / config.supernet.checkpoint)
    for size in space.image_sizes[::2]:
        images = shapes(128, size, rng)
        subnet = prepare_subnet(supernet, space.draw(size, rng), to_input(images), 128)
        leads.append(lead_db(subnet, images[:64], images[64:]))
    assert np.mean(leads, axis=0)[0] > 0.5, leads
    assert np.mean(leads, axis=0)[1] > 0, leads


@pytest.mark.parametrize("space", [OFA_LIKE], ids=["ofa-like"])
def test_ranges_are_those_of_all_values_computed_at_once(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    arch = every_layer(space, 33)
    images = blobs(24, (33, 33, 3), 0)
    subnet = folded(space, arch, images, 0)
    ranges = value_ranges(subnet, images)
    values = values_of(subnet, torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    expected = [(float(value.min()), float(value.max())) for value in values]
    np.testing.assert_allclose(ranges[1:], expected[1:], rtol=1e-5, atol=1e-5)
    assert ranges[0].tolist() == [0, 1], "whatever the images are"
    monkeypatch.setattr("foxnas.int8.ranges.PIXELS", 33 * 33 * 5)
    np.testing.assert_allclose(value_ranges(subnet, images), ranges, rtol=1e-5, atol=1e-5)
    assert PIXELS >= 224 * 224


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(mini: SearchSpace, number: float) -> None:
    arch, images = mini.smallest(16), blobs(8, (16, 16, 1), 0)
    subnet = folded(mini, arch, images, 0)
    subnet.classifier.bias[3] = number
    with pytest.raises(FoxnasError, match="not finite on the calibration images"):
        export_int8(subnet, images)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [(0, 6, 6 / 255, -128), (-1, 2, 3 / 255, -43), (-2, 1, 3 / 255, 42), (2, 5, 5 / 255, -128), (-5, -2, 5 / 255, 127)],
)
def test_a_scale_spans_its_range_and_zero_is_an_integer(low: float, high: float, scale: float, zero_point: int) -> None:
    found = value_scale(low, high)
    assert float(found.scale[0]) == pytest.approx(scale, rel=1e-6)
    assert int(found.zero_point[0]) == zero_point
    for end in (min(low, 0), max(high, 0)):
        assert -128.6 <= end / found.scale[0] + found.zero_point[0] <= 127.6
    assert float(value_scale(low, high, 0.5).scale[0]) == 0.5


def test_every_value_has_its_own_range_also_where_a_residual_is_added(exported: Callable[..., Exported]) -> None:
    model = exported("random 28")
    arch, space = model.subnet.arch, model.subnet.space
    spans = [high - min(low, 0) for low, high in value_ranges(model.subnet, model.images)]
    steps = steps_of(space, arch)
    branches = [step.inputs[1] for step in steps if step.kind is Kind.ADD]
    assert branches
    own = scales_of(export_int8(model.subnet, model.images))
    for number in (*branches, *(i + 1 for i, step in enumerate(steps) if step.activation == "relu6")):
        assert own[number][0] == pytest.approx(spans[number] / 255, rel=1e-5)
    # The open issue 127842 of TensorFlow: the branch is given the range of the sum.
    converted = scales_of(model.int8)
    sums = [number + 1 for number, step in enumerate(steps) if step.kind is Kind.ADD]
    assert [converted[number] for number in branches] == [converted[number] for number in sums]


@pytest.mark.parametrize(("space", "size"), KINDS[::2], ids=lambda value: getattr(value, "name", value))
def test_constants_follow_the_specification(space: SearchSpace, size: int) -> None:
    """TFLite's 8-bit quantisation specification: ranges, zero points, scales of biases, axes, and a PAD's scale."""
    arch = every_layer(space, size)
    images = blobs(24, input_shape(space, arch)[1:], 0)
    subnet = folded(space, arch, images, 0)
    model = read_model(export_int8(subnet, images, corrected=False))
    (graph,) = model.subgraphs
    weighted = 0
    for step, operator in zip(steps_of(space, arch), graph.operators[1:-1], strict=True):
        tensors = [graph.tensors[i] for i in operator.inputs]
        read, written = tensors[0].quantization, graph.tensors[operator.outputs[0]].quantization
        if step.kind is Kind.PAD:
            assert (read.scale, read.zeroPoint) == (written.scale, written.zeroPoint)
        if not step.weight:
            continue
        weighted += 1
        weight, bias = tensors[1].quantization, tensors[2].quantization
        assert not weight.zeroPoint.any()
        assert not bias.zeroPoint.any()
        assert weight.quantizedDimension == (3 if step.kind is Kind.DEPTHWISE else 0)
        np.testing.assert_allclose(bias.scale, read.scale[0] * np.asarray(weight.scale), rtol=1e-6)
        integers = model.buffers[tensors[1].buffer].data.view(np.int8).reshape(step.weight)
        assert integers.min() >= -127
        largest = np.abs(integers.astype(int)).max(
            tuple(i for i in range(integers.ndim) if i != weight.quantizedDimension)
        )
        assert (largest.max() if step.kind is Kind.DENSE else largest.min()) == 127
    assert weighted == sum(bool(step.weight) for step in steps_of(space, arch))


@pytest.fixture(scope="module")
def plain(mini: SearchSpace) -> tuple[Subnet, np.ndarray]:
    """A subnet in which nothing is zero or far off, and its images."""
    return taught(mini, mini.draw(20, np.random.default_rng(3)), dead_gate=False)


@pytest.mark.parametrize(
    "what", ["branch", "channels", "layer", "tiny layer", "great bias", "closed gates", "tiny gates", "black images"]
)
def test_what_is_zero_or_far_off_stays_within_one_delegate(plain: tuple[Subnet, np.ndarray], what: str) -> None:
    subnet, images = copy.deepcopy(plain)
    blocks = list(subnet.blocks)
    gates = [block.gate for block in blocks if block.gate is not None]
    residual = next(block for block in blocks if block.residual)
    match what:
        case "branch":
            for parameter in residual.project.parameters():
                nn.init.zeros_(parameter)
        case "channels":
            residual.project.conv.weight[:2] = 0
            residual.project.conv.bias[:1] = 0
            residual.project.conv.weight[2:3] = 1e-42
        case "layer":
            nn.init.zeros_(residual.depthwise.conv.weight)
            nn.init.constant_(residual.depthwise.conv.bias, 1e-6)
        case "tiny layer":
            for parameter in residual.project.parameters():
                parameter.mul_(1e-7)
        case "great bias":
            residual.depthwise.conv.bias[0] = -1e9
        case "closed gates":
            for gate in gates:
                nn.init.constant_(gate.expand.bias, -1e3)
                nn.init.constant_(gate.reduce.bias, -1e3)
        case "tiny gates":
            for gate in gates:
                gate.expand.weight.mul_(1e-9)
                nn.init.constant_(gate.expand.bias, -3 + 1e-6)
        case "black images":
            images = np.zeros_like(images)
    content = export_int8(subnet, images)
    assert Int8Model(content).fallback_operators() == 2
    noise = layer_noise(subnet, content, images)
    assert noise[-1].total_db > 15
    expected, found = torch_logits(subnet, images), Int8Model(content).logits(images)
    assert np.abs(found - expected).max() < 0.2 * np.abs(expected).max()


def test_a_gate_that_calibration_never_opened_can_open(mini: SearchSpace) -> None:
    """What is 0 for every image has the range of its activation, all of it."""
    arch = mini.parse("r20_k3e2.k5e3_k3e4.k7e2_k5e2.k3e6_k3e3.k5e2_k3e2.k3e4")
    subnet, images = taught(mini, arch, dead_gate=True)
    ranges, scales = value_ranges(subnet, images), scales_of(export_int8(subnet, images))
    dead = [number for number, (_, high) in enumerate(ranges) if high == 0]
    assert dead
    assert [scales[number] for number in dead] == [(float(np.float32(6 / 255)), -128)] * len(dead)


def test_equal_arguments_give_equal_bytes(mini: SearchSpace) -> None:
    arch = mini.largest(40)
    images = blobs(64, (40, 40, 1), 0)
    subnet = folded(mini, arch, images, 0)
    files = set()
    for threads in (1, 2, 3, 1):
        torch.set_num_threads(threads)
        files.add(export_int8(subnet, images))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert len(files) == 1


_EXPORT = """
import sys
from foxnas.errors import FoxnasError
from foxnas.int8.export import export_int8
assert "tensorflow" not in sys.modules
sys.modules["tensorflow"] = None  # as where it is not installed
from foxnas.space.config import read_space
from tests.support.exports import blobs, folded
space = read_space("mini")
arch = space.smallest(16)
images = blobs(8, (16, 16, 1), 0)
subnet = folded(space, arch, images, 0)
print(len(export_int8(subnet, images)))
try:
    export_int8(subnet, images, exporter="tensorflow")
except FoxnasError as error:
    print(error)
"""


def test_without_tensorflow_the_default_exports_and_the_other_says_what_to_type() -> None:
    done = python(["-c", _EXPORT], REPOSITORY, {**os.environ, "PYTHONPATH": str(REPOSITORY)}, jobs=True)
    assert done.returncode == 0, done.stderr
    size, said = done.stdout.splitlines()
    assert int(size) > 10_000
    assert said == (
        "export.with is tensorflow, which is not installed; install it (pip install -e '.[tensorflow]' in the folder "
        "of pyproject.toml) or write export: {with: foxnas}, which does not need it"
    )
