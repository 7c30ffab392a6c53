"""Chains of a block, as the runtime sees them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from foxnas.int8.chain import PartWriter
from foxnas.space.blocks import Blocks, Place
from foxnas.space.space import SearchSpace

COPIES = 3


@pytest.fixture(scope="module")
def writer(mini: SearchSpace) -> PartWriter:
    return PartWriter(mini)


# The first layer of a unit that halves the image, one that keeps it and adds channels with a gate, one after the first.
@pytest.mark.parametrize("place", [Place(0, False), Place(1, False), Place(1, True)], ids=str)
@pytest.mark.parametrize("delegated", [False, True], ids=["own kernels", "XNNPACK"])
def test_a_chain_runs_every_copy_of_its_block(
    mini: SearchSpace, writer: PartWriter, place: Place, delegated: bool
) -> None:
    block = Blocks(mini).at[20][place, (5, 3)]
    kernels = OpResolverType.AUTO if delegated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    counts, answers = [], []
    for model in (writer.write_part(block.part), writer.write_chain(block, COPIES)):
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        given, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        assert tuple(given["shape"]) == block.part.input_shape
        assert tuple(out["shape"]) == block.part.steps[-1].shape
        value = np.random.default_rng(0).integers(-128, 128, given["shape"], np.int8)
        interpreter.set_tensor(given["index"], value)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(out["index"]))
        counts.append(
            Counter(node["op_name"] for node in interpreter._get_ops_details() if node["op_name"] != "DELEGATE")
        )
    alone, chain = counts
    joins = 0 if block.keeps_its_shape else COPIES - 1
    assert chain == Counter({name: COPIES * count for name, count in alone.items()}) + Counter(ADD=joins)
    assert len(np.unique(answers[1])) > 2
    assert not np.array_equal(*answers)


def test_copies_follow_one_another_where_they_can(mini: SearchSpace, writer: PartWriter) -> None:
    """The last of two copies answers what the block with its weights answers to the first one's output."""
    block = Blocks(mini).at[16][Place(0, True), (3, 2)]
    rows = []
    for model, copies in ((writer.write_chain(block, 1), 1), (writer.write_chain(block, 2), 2)):
        interpreter = Interpreter(
            model_content=model, experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )  # fmt: skip
        interpreter.allocate_tensors()
        value = np.random.default_rng(1).integers(-128, 128, block.part.input_shape, np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
        interpreter.invoke()
        name = f"value{len(block.part.steps) - 1}"
        tensor = next(one for one in interpreter.get_tensor_details() if one["name"] == name)
        rows.append(interpreter.get_tensor(tensor["index"]))
        assert len(interpreter._get_ops_details()) == copies * len(block.part.steps)
    np.testing.assert_array_equal(*rows)
