"""Probes and exports, held against PyTorch, TensorFlow's converter and the runtime that serves them."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from kinds import KINDS, every_layer
from torch import nn

from foxnas.arch import Arch
from foxnas.blocks import UnitSpec
from foxnas.config.space import read_space
from foxnas.errors import FoxnasError
from foxnas.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from foxnas.tflite.computing import values_of
from foxnas.tflite.export import export_float, export_int8
from foxnas.tflite.graph import Constant, Numbers, Scale, Weights, write_int8
from foxnas.tflite.noise import layer_noise
from foxnas.tflite.probe import ProbeWriter
from foxnas.tflite.reading import read_metadata, read_summary, with_metadata
from foxnas.tflite.serving import Int8Model
from foxnas.tflite.topology import input_shape, steps_of


@dataclass(frozen=True)
class Exported:
    """A folded subnet with random statistics, images, and the converter's int8 file."""

    subnet: Subnet
    images: np.ndarray
    int8: bytes


def folded(space: SearchSpace, arch: Arch, images: np.ndarray, seed: int) -> Subnet:
    """A subnet with random weights and gains, the images' statistics, and its batch norms folded."""
    torch.manual_seed(seed)
    subnet = Subnet(Supernet(space), arch)
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    subnet.train()
    torch_logits(subnet, images)
    return subnet.fold()


def blobs(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Blobs on a dark ground, turn by turn in each quarter; no pixel is 0 or 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / shape[0]
    quarter = np.arange(n)[:, None, None] % 4
    down, right = rng.normal(0.3, 0.05, (2, n, 1, 1)) + np.stack([quarter // 2, quarter % 2]) * 0.4
    width, height = rng.uniform(0.1, 0.3, (n, 1, 1)), rng.uniform(60, 230, (n, 1, 1))
    images = height * np.exp(-((y - down) ** 2 + (x - right) ** 2) / width**2)
    return np.clip(images[..., None] + rng.normal(0, 5, (n, *shape)), 3, 250).astype(np.uint8)


def taught(space: SearchSpace, arch: Arch, dead_gate: bool) -> Exported:
    """A subnet that has learnt in a few steps to tell the quarters apart.

    Random weights will not do for int8: without anything to learn rounding errors grow by 3 dB a layer.
    """
    torch.manual_seed(0)
    images = blobs(32, input_shape(space, arch)[1:], 0)
    x, labels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255, torch.arange(32) % 4
    supernet = Supernet(space).train()
    if dead_gate:
        gate = next(block.gate for blocks in supernet.units for block in blocks if block.gate is not None)
        nn.init.constant_(gate.reduce.bias, -50.0)
    optimizer = torch.optim.Adam(supernet.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(supernet(x, arch), labels).backward()
        optimizer.step()
    subnet = Subnet(supernet, arch).train()
    torch_logits(subnet, images)
    subnet.eval().fold()
    return Exported(subnet, images, export_int8(subnet, images))


def export(space: SearchSpace, arch: Arch, seed: int = 0) -> Exported:
    images = blobs(32, input_shape(space, arch)[1:], seed)
    subnet = folded(space, arch, images, seed)
    return Exported(subnet, images, export_int8(subnet, images))


CASES = ["largest", "smallest", "random 20", "random 24", "random 28", "random 32", "random 36", "random 40"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Nets this small only lose by sharing their work out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def exported(mini: SearchSpace) -> Callable[[str], Exported]:
    cache: dict[str, Exported] = {}

    def get(case: str) -> Exported:
        if case not in cache:
            kind, _, size = case.partition(" ")
            rng = np.random.default_rng(len(cache))
            arch = {
                "largest": lambda: mini.largest(28),
                "smallest": lambda: mini.smallest(16),
                "random": lambda: mini.draw(int(size), rng),
            }[kind]()
            cache[case] = export(mini, arch)
        return cache[case]

    return get


def torch_logits(subnet: Subnet, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return subnet(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()


@pytest.mark.parametrize("case", CASES)
def test_probe_is_what_the_converter_writes(exported: Callable[[str], Exported], mini: SearchSpace, case: str) -> None:
    model = exported(case)
    converted, probe = read_summary(model.int8), read_summary(ProbeWriter(mini).write(model.subnet.arch))
    assert probe.operators == converted.operators
    assert probe.tensors == converted.tensors
    assert probe == converted


def test_probe_of_another_space_is_what_the_converter_writes() -> None:
    # Colour, no squeeze-and-excitation, an expansion ratio of 1 among others, a stem that keeps the size.
    units = (UnitSpec(6, 2, 2), UnitSpec(6, 2, 2), UnitSpec(10, 1, 2))
    space = SearchSpace("rgb", (18,), (3, 5), (1, 3), (2, 3), 6, 1, units, 20, 3, 7)
    arch = space.parse("r18_k3e1.k5e3_k5e1.k3e3.k3e1_k3e3.k5e1")
    model = export(space, arch)
    assert read_summary(ProbeWriter(space).write(arch)) == read_summary(model.int8)
    single = SearchSpace("one", (18,), (3,), (1,), (2,), 6, 1, (UnitSpec(6, 2, 1),), 20, 3, 7)
    arch = single.largest(18)
    assert read_summary(ProbeWriter(single).write(arch)) == read_summary(export(single, arch).int8)


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_every_kind_of_block_exports_as_it_computes(space: SearchSpace, size: int) -> None:
    arch = every_layer(space, size)
    model = export(space, arch)
    converted, probe = read_summary(model.int8), read_summary(ProbeWriter(space).write(arch))
    assert probe.operators == converted.operators
    assert probe.tensors == converted.tensors
    hard_swishes = sum(operator.name == "HARD_SWISH" for operator in converted.operators)
    assert Int8Model(model.int8).fallback_operators() == 2 + hard_swishes
    assert_float_export_is_pytorch(model)
    # Eight bits over a tensor's whole range leave 20 to 45 dB, whatever the weights are.
    noise = layer_noise(model.subnet, model.int8, model.images[:4])
    assert min(layer.own_db for layer in noise) > 18, min(noise, key=lambda layer: layer.own_db)


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_steps_computed_one_by_one_are_the_subnet(space: SearchSpace, size: int) -> None:
    rng = np.random.default_rng(size)
    images = blobs(4, (size, size, space.image_channels), size)
    for arch in (space.largest(size), space.smallest(size), *(space.draw(size, rng) for _ in range(6))):
        subnet = folded(space, arch, images, size)
        values = values_of(subnet, torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
        steps = steps_of(space, arch)
        shapes = [(1, v.shape[2], v.shape[3], v.shape[1]) if v.ndim == 4 else (1, v.shape[1]) for v in values[1:]]
        assert shapes == [step.shape for step in steps]
        np.testing.assert_allclose(values[-1].numpy(), torch_logits(subnet, images), rtol=1e-4, atol=1e-4)


def test_the_edge_tpu_space_has_the_operators_of_the_published_compiler_logs() -> None:
    # github.com/great8nctu/FOX-NAS, pretrained_model(s)/TPU: the logs of models 192_A73, 192_A75 and 224_A76.
    space = read_space("tpu")
    for depths, conv, depthwise, add in (
        ((3, 3, 3, 3, 3), 34, 8, 10),
        ((3, 4, 4, 4, 5), 44, 12, 15),
        ((4, 3, 5, 5, 4), 46, 13, 16),
    ):
        arch = Arch(192, tuple(((3, 4),) * depth for depth in depths))
        names = Counter(operator.name for operator in read_summary(ProbeWriter(space).write(arch)).operators)
        counted = {name: names[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "FULLY_CONNECTED")}
        assert counted == {"CONV_2D": conv, "DEPTHWISE_CONV_2D": depthwise, "ADD": add, "FULLY_CONNECTED": 1}


def numbers_of(content: bytes) -> Numbers:
    """The converter's weights and scales, to be put into a graph of our own."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]

    def scale(index: int) -> Scale:
        quantisation = graph.tensors[index].quantization
        return Scale(quantisation.scale, quantisation.zeroPoint, quantisation.quantizedDimension)

    def data(index: int, dtype: type) -> np.ndarray:
        return model.buffers[graph.tensors[index].buffer].data.view(dtype)

    weights, sixth = [], None
    for operator in graph.operators:
        if len(operator.inputs) == 3:
            _, filter, bias = operator.inputs
            weights.append(Weights(data(filter, np.int8), scale(filter), data(bias, np.int32), scale(bias)))
        elif model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.MUL:
            constant = operator.inputs[1]
            if len(graph.tensors[constant].shape) == 0:
                sixth = constant
    values = [scale(operator.outputs[0]) for operator in graph.operators[:-1]]
    assert sixth is not None
    return Numbers(values, weights, Constant(data(sixth, np.int8), scale(sixth)))


@pytest.mark.parametrize("case", ["largest", "random 20", "random 36"])
def test_written_graph_with_the_converters_numbers_computes_the_same_bits(
    exported: Callable[[str], Exported], mini: SearchSpace, case: str
) -> None:
    model = exported(case)
    arch = model.subnet.arch
    written = write_int8(steps_of(mini, arch), input_shape(mini, arch), numbers_of(model.int8))
    expected = Int8Model(model.int8).logits(model.images)
    assert np.ptp(expected, axis=0).max() > 0, "images must differ for this to mean something"
    np.testing.assert_array_equal(Int8Model(written).logits(model.images), expected)


@pytest.mark.parametrize("case", ["largest", "smallest", "random 28"])
def test_one_delegate_takes_the_whole_net(exported: Callable[[str], Exported], mini: SearchSpace, case: str) -> None:
    model = exported(case)
    for content in (model.int8, ProbeWriter(mini).write(model.subnet.arch)):
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        names = [operator["op_name"] for operator in interpreter._get_ops_details()]
        assert names.count("DELEGATE") == 1
        assert Int8Model(content).fallback_operators() == names.count("QUANTIZE") == 2


def test_probes_of_a_full_scale_space_fit_one_delegate() -> None:
    for name in ("cpu", "tpu"):
        space = read_space(name)
        content = ProbeWriter(space).write(space.draw(128, np.random.default_rng(0)))
        assert Int8Model(content).fallback_operators() == 2


def test_probe_depends_on_seed_and_architecture_alone(mini: SearchSpace) -> None:
    arch = mini.draw(24, np.random.default_rng(1))
    first = ProbeWriter(mini, seed=1)
    first.write(mini.largest(40))
    assert first.write(arch) == ProbeWriter(mini, seed=1).write(arch)
    assert first.write(arch) != ProbeWriter(mini, seed=2).write(arch)


def test_buffers_begin_on_16_byte_boundaries(mini: SearchSpace) -> None:
    content = ProbeWriter(mini).write(mini.largest(16))
    model = schema.Model.GetRootAs(content, 0)
    base = np.frombuffer(content, np.uint8).ctypes.data
    starts = [
        model.Buffers(i).DataAsNumpy().ctypes.data - base
        for i in range(model.BuffersLength())
        if not model.Buffers(i).DataIsNone()
    ]
    assert len(starts) > 100
    assert {start % 16 for start in starts} == {0}


def test_probe_refuses_a_subnet_of_another_space(mini: SearchSpace) -> None:
    with pytest.raises(FoxnasError, match="image size 17"):
        ProbeWriter(mini).write(mini.largest(17))


def test_probe_writer_imports_neither_torch_nor_tensorflow() -> None:
    code = "import sys, foxnas.tflite.probe; print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def assert_float_export_is_pytorch(model: Exported) -> None:
    interpreter = Interpreter(model_content=export_float(model.subnet), num_threads=1)
    run = interpreter.get_signature_runner()
    found = [run(image=image[None].astype(np.float32) / 255)["logits"][0] for image in model.images[:8]]
    np.testing.assert_allclose(found, torch_logits(model.subnet, model.images[:8]), atol=1e-3)


@pytest.mark.parametrize("case", ["smallest", "random 20", "random 36"])
def test_float_export_computes_what_pytorch_does(exported: Callable[[str], Exported], case: str) -> None:
    assert_float_export_is_pytorch(exported(case))


@pytest.mark.parametrize("dead_gate", [False, True])
def test_int8_follows_float(mini: SearchSpace, dead_gate: bool) -> None:
    # A gate that is 0 for every image makes the converter write a model that XNNPACK refuses.
    arch = mini.parse("r20_k3e2.k5e3_k3e4.k7e2_k5e2.k3e6_k3e3.k5e2_k3e2.k3e4")
    model = taught(mini, arch, dead_gate)
    expected, found = torch_logits(model.subnet, model.images), Int8Model(model.int8).logits(model.images)
    assert (expected.argmax(1) == np.arange(32) % 4).all(), "it must have learnt something"
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    signal, noise = ((expected - expected.mean(0)) ** 2).mean(), ((found - expected) ** 2).mean()
    assert 10 * math.log10(signal / noise) > 15
    layers = layer_noise(model.subnet, model.int8, model.images[:8])
    assert any(math.isnan(layer.own_db) for layer in layers) == dead_gate
    assert layers[-1].total_db > 15
    other = folded(mini, mini.smallest(20), model.images, 0)
    with pytest.raises(FoxnasError, match="has other operators than this subnet"):
        layer_noise(other, model.int8, model.images)
    assert read_summary(model.int8) == read_summary(ProbeWriter(mini).write(arch))


def test_int8_reads_raw_pixels(exported: Callable[[str], Exported]) -> None:
    # The calibration images hold neither a 0 nor a 255.
    model = exported("random 28")
    summary = read_summary(model.int8)
    assert model.images.min() > 0
    assert model.images.max() < 255
    assert summary.image.scale == (float(np.float32(1 / 255)),)
    assert summary.image.zero_point == (0,)
    assert (summary.image.type, summary.logits.type) == ("UINT8", "UINT8")


def test_scales_run_along_output_channels_and_the_classifier_has_one(exported: Callable[[str], Exported]) -> None:
    summary = read_summary(exported("random 28").int8)
    for operator in summary.operators:
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weight = summary.tensors[operator.inputs[1]]
            axis = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}.get(operator.name)
            assert weight.scales == (1 if axis is None else weight.shape[axis])
            assert weight.axis == (axis or 0)


def test_export_refuses_what_it_cannot_convert(mini: SearchSpace) -> None:
    arch = mini.smallest(16)
    images = blobs(4, (16, 16, 1), 0)
    with pytest.raises(FoxnasError, match=r"call fold\(\)"):
        export_int8(Subnet(Supernet(mini), arch), images)
    subnet = folded(mini, arch, images, 0)
    for wrong in (images / 255, images[:, :12], images[:0]):
        with pytest.raises(FoxnasError, match="calibration images are"):
            export_int8(subnet, wrong)


def test_metadata_round_trip_leaves_the_model_as_it_was(exported: Callable[[str], Exported]) -> None:
    model = exported("random 28")
    made_by = {"arch": model.subnet.arch.text, "seed": 3, "versions": {"tensorflow": "2.21.0"}}
    content = with_metadata(model.int8, made_by)
    assert read_metadata(content) == made_by
    assert read_summary(content) == read_summary(model.int8)
    np.testing.assert_array_equal(Int8Model(content).logits(model.images), Int8Model(model.int8).logits(model.images))
    again = with_metadata(content, {"seed": 4})
    assert read_metadata(again) == {"seed": 4}
    with pytest.raises(FoxnasError, match="does not say what made it"):
        read_metadata(model.int8)


def test_damaged_files_are_refused(exported: Callable[[str], Exported]) -> None:
    content = exported("random 28").int8
    for damaged in (b"", b"PK\x03\x04 something else", content[: len(content) // 2]):
        with pytest.raises(FoxnasError):
            read_summary(damaged)
        with pytest.raises(FoxnasError):
            Int8Model(damaged)


def test_serving_refuses_wrong_models_and_images(exported: Callable[[str], Exported]) -> None:
    model = exported("smallest")
    with pytest.raises(FoxnasError, match="float32"):
        Int8Model(export_float(model.subnet))
    with pytest.raises(FoxnasError, match="raw uint8 pixels"):
        Int8Model(model.int8).logits(model.images / 255)
