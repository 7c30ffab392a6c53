"""Exports, held against PyTorch and the runtime that serves them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from foxnas.errors import FoxnasError
from foxnas.int8.config import Exporter
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_metadata, read_summary, with_metadata
from foxnas.int8.serving import Int8Model
from foxnas.space.operators import steps_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from tests.support.exports import Exported, blobs, export, export_float, folded, taught, torch_logits
from tests.support.kinds import KINDS, every_layer
from tests.support.noise import layer_noise, values_of

EXPORTERS: tuple[Exporter, ...] = get_args(Exporter)


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
    # Eight bits over a tensor's whole range leave 20 to 45 dB, whatever the weights are. Corrected biases differ from
    # the float ones on purpose.
    for exporter in EXPORTERS:
        as_rounded = export_int8(model.subnet, model.images, exporter=exporter, corrected=False)
        noise = layer_noise(model.subnet, as_rounded, model.images[:4])
        assert min(layer.own_db for layer in noise) > 18, min(noise, key=lambda layer: layer.own_db)


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_steps_computed_one_by_one_are_the_subnet(space: SearchSpace, size: int) -> None:
    rng = np.random.default_rng(size)
    images = blobs(4, (size, size, space.image_channels), size)
    drawn = [space.draw(size, rng) for _ in range(2)]
    for arch in (space.largest(size), space.smallest(size), every_layer(space, size), *drawn):
        subnet = folded(space, arch, images, size)
        values = values_of(subnet, torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
        steps = steps_of(space, arch)
        shapes = [(1, v.shape[2], v.shape[3], v.shape[1]) if v.ndim == 4 else (1, v.shape[1]) for v in values[1:]]
        assert shapes == [step.shape for step in steps]
        np.testing.assert_allclose(values[-1].numpy(), torch_logits(subnet, images), rtol=1e-4, atol=1e-4)


def assert_float_export_is_pytorch(model: Exported) -> None:
    interpreter = Interpreter(model_content=export_float(model.subnet), num_threads=1)
    run = interpreter.get_signature_runner()
    found = [run(image=image[None].astype(np.float32) / 255)["logits"][0] for image in model.images[:8]]
    np.testing.assert_allclose(found, torch_logits(model.subnet, model.images[:8]), atol=1e-3)


@pytest.mark.parametrize("case", ["smallest", "random 20", "random 36"])
def test_float_export_computes_what_pytorch_does(exported: Callable[..., Exported], case: str) -> None:
    assert_float_export_is_pytorch(exported(case, "foxnas"))


@dataclass(frozen=True)
class Learnt:
    """A subnet that has learnt something, and its images."""

    subnet: Subnet
    images: np.ndarray
    dead_gate: bool


@pytest.fixture(scope="module", params=[False, True], ids=["alive", "dead gate"])
def learnt(mini: SearchSpace, request: pytest.FixtureRequest) -> Learnt:
    """With all gates alive, or one that is 0 for every image: of that the converter makes what XNNPACK refuses."""
    arch = mini.parse("r20_k3e2.k5e3_k3e4.k7e2_k5e2.k3e6_k3e3.k5e2_k3e2.k3e4")
    return Learnt(*taught(mini, arch, request.param), request.param)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_int8_follows_float(mini: SearchSpace, learnt: Learnt, exporter: Exporter) -> None:
    subnet, images = learnt.subnet, learnt.images
    content = export_int8(subnet, images, exporter=exporter)
    expected, found = torch_logits(subnet, images), Int8Model(content).logits(images)
    assert (expected.argmax(1) == np.arange(32) % 4).all(), "it must have learnt something"
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    signal, noise = ((expected - expected.mean(0)) ** 2).mean(), ((found - expected) ** 2).mean()
    assert 10 * math.log10(signal / noise) > 15
    layers = layer_noise(subnet, content, images[:8])
    assert any(math.isnan(layer.own_db) for layer in layers) == learnt.dead_gate
    assert layers[-1].total_db > 15
    other = folded(mini, mini.smallest(20), images, 0)
    with pytest.raises(FoxnasError, match="has other operators than this subnet"):
        layer_noise(other, content, images)
    assert read_summary(content) == read_summary(ProbeWriter(mini).write(subnet.arch))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_int8_reads_raw_pixels(exported: Callable[..., Exported], exporter: Exporter) -> None:
    # The calibration images hold neither a 0 nor a 255.
    model = exported("random 28", exporter)
    summary = read_summary(model.int8)
    assert model.images.min() > 0
    assert model.images.max() < 255
    assert summary.image.scale == (float(np.float32(1 / 255)),)
    assert summary.image.zero_point == (0,)
    assert (summary.image.type, summary.logits.type) == ("UINT8", "UINT8")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_scales_run_along_output_channels_and_the_classifier_has_one(
    exported: Callable[..., Exported], exporter: Exporter
) -> None:
    summary = read_summary(exported("random 28", exporter).int8)
    for operator in summary.operators:
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weight = summary.tensors[operator.inputs[1]]
            axis = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}.get(operator.name)
            assert weight.scales == (1 if axis is None else weight.shape[axis])
            assert weight.axis == (axis or 0)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_export_refuses_what_it_cannot_convert(mini: SearchSpace, exporter: Exporter) -> None:
    arch = mini.smallest(16)
    images = blobs(4, (16, 16, 1), 0)
    with pytest.raises(FoxnasError, match=r"call fold\(\)"):
        export_int8(Subnet(Supernet(mini), arch), images, exporter=exporter)
    subnet = folded(mini, arch, images, 0)
    for wrong in (images / 255, images[:, :12], images[:0]):
        with pytest.raises(FoxnasError, match="calibration images are"):
            export_int8(subnet, wrong, exporter=exporter)


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
