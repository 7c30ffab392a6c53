"""The check of a model before the Edge TPU compiler sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from foxnas.edgetpu.check import Consequence, blocking, check_model
from foxnas.images.pixels import to_input
from foxnas.int8.config import Exporter
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.space.space import UnitSpec
from foxnas.supernet.model import Supernet
from tests.support.edited_probe import PROBE, SPACE, WRITER, Op, code_of, edited, set_code
from tests.support.int8_model import shapes
from tests.support.prepared import prepare_subnet


def first_of(model: Any, builtin: int) -> Any:
    number = model.operatorCodes.index(code_of(model, builtin))
    return next(op for op in model.subgraphs[0].operators if op.opcodeIndex == number)


def image_of(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]


def test_probes_pass() -> None:
    assert check_model(PROBE) == []
    assert check_model(WRITER.write(SPACE.smallest(16))) == []


def test_the_version_that_users_report_is_refused_by_name() -> None:
    """CONV_2D 6 (TensorFlow 2.9) and QUANTIZE 3 (2.7): issues 631 and 879 of google-coral/edgetpu."""

    def newer(model: Any) -> None:
        code_of(model, Op.CONV_2D).version = 6
        code_of(model, Op.QUANTIZE).version = 3

    found = blocking(check_model(edited(newer)))
    texts = [str(finding) for finding in found]
    assert any("CONV_2D" in t and "version 6" in t and "up to 5" in t and "Didn't find op" in t for t in texts)
    assert any("QUANTIZE" in t and "version 3" in t for t in texts)


def test_dense_weights_with_a_scale_a_class_are_refused() -> None:
    def per_channel(model: Any) -> None:
        dense = first_of(model, Op.FULLY_CONNECTED)
        weights = model.subgraphs[0].tensors[dense.inputs[1]]
        weights.quantization.scale = np.full(10, 0.01, np.float32)
        weights.quantization.zeroPoint = np.zeros(10, np.int64)

    (finding,) = check_model(edited(per_channel))
    assert finding.consequence is Consequence.WRONG
    assert "10 scales" in finding.what


@pytest.mark.parametrize(
    ("change", "consequence", "words"),
    [
        (lambda m: set_code(m, Op.ADD, Op.GELU), Consequence.REFUSED, "did not exist in TensorFlow 2.5"),
        (lambda m: set_code(m, Op.ADD, Op.FLOOR_DIV), Consequence.CPU, "no operator of the Edge TPU"),
        (
            lambda m: setattr(image_of(m), "shapeSignature", np.int32([-1, 16, 16, 1])),
            Consequence.UNSURE, "leaves a dimension of 1 tensors open",
        ),
        (
            lambda m: setattr(image_of(m), "shape", np.int32([8, 16, 16, 1])),
            Consequence.CPU, "innermost three",
        ),
        (
            lambda m: setattr(image_of(m), "type", schema.TensorType.FLOAT32),
            Consequence.CPU, "FLOAT32",
        ),
        (lambda m: setattr(first_of(m, Op.CONV_2D).builtinOptions, "dilationHFactor", 2), Consequence.CPU, "dilates"),
    ],
)  # fmt: skip
def test_what_the_compiler_or_the_tpu_does_not_take(
    change: Callable[[Any], None], consequence: Consequence, words: str
) -> None:
    found = check_model(edited(change))
    assert any(f.consequence is consequence and words in str(f) for f in found), [str(f) for f in found]


def test_an_old_runtime_lacks_quantize() -> None:
    found = check_model(PROBE, runtime=12)
    assert {f.consequence for f in found} == {Consequence.CPU}
    assert all("runtime 13" in f.what for f in found)


def test_what_is_no_model_is_one_finding() -> None:
    (finding,) = check_model(b"hello, this is no model")
    assert finding.consequence is Consequence.REFUSED


@pytest.mark.parametrize("exporter", get_args(Exporter))
def test_a_real_export_passes_the_check_with_every_type_of_unit(exporter: Exporter) -> None:
    """Squeeze-and-excitation, separable, fused; by TensorFlow 2.21's converter, too."""
    space = replace(SPACE, units=(UnitSpec(8, 2, 3), UnitSpec(8, 1, 2), UnitSpec(12, 1, 1)), kernel_sizes=(3,))
    torch.manual_seed(0)
    pictures = shapes(48, 16, np.random.default_rng(0))
    subnet = prepare_subnet(Supernet(space), space.largest(16), to_input(pictures), batch_size=48)
    content = export_int8(subnet, pictures[:8], exporter=exporter)
    assert check_model(content) == []
    assert check_model(ProbeWriter(space).write(space.largest(16))) == []
