"""Probes, held against TensorFlow's converter."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from foxnas.errors import FoxnasError
from foxnas.int8.graph import Constant, Numbers, Scale, Weights, write_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_summary
from foxnas.int8.serving import Int8Model
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.layers import UnitSpec
from foxnas.space.operators import input_shape, steps_of
from foxnas.space.space import SearchSpace
from tests.support.exports import CASES, Exported, export


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
    space = SearchSpace(
        name="rgb", image_sizes=(18,), kernel_sizes=(3, 5), expansion_ratios=(1, 3), depths=(2, 3),
        stem_width=6, stem_stride=1, units=units, head_width=20, image_channels=3, classes=7,
    )  # fmt: skip
    arch = space.parse("r18_k3e1.k5e3_k5e1.k3e3.k3e1_k3e3.k5e1")
    model = export(space, arch)
    assert read_summary(ProbeWriter(space).write(arch)) == read_summary(model.int8)
    single = SearchSpace(
        name="one", image_sizes=(18,), kernel_sizes=(3,), expansion_ratios=(1,), depths=(2,),
        stem_width=6, stem_stride=1, units=(UnitSpec(6, 2, 1),), head_width=20, image_channels=3, classes=7,
    )  # fmt: skip
    arch = single.largest(18)
    assert read_summary(ProbeWriter(single).write(arch)) == read_summary(export(single, arch).int8)


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
    code = "import sys, foxnas.int8.probe; print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
