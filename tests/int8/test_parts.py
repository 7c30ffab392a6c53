"""A subnet cut into parts, each a network of its own: what a table of blocks timed alone is made of."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from benchmarks.lookup import blocks_of, entries_of
from foxnas.int8.chain import PartWriter
from foxnas.space.operators import steps_of
from foxnas.space.parts import parts_of
from foxnas.space.space import SearchSpace


def test_parts_are_the_subnets_operators_in_order(mini: SearchSpace) -> None:
    arch = next(mini.sample(20, np.random.default_rng(3)))
    parts, steps = parts_of(mini, arch), steps_of(mini, arch)
    cut = [(step.kind, step.shape, step.weight, step.stride) for part in parts for step in part.steps]
    assert cut == [(step.kind, step.shape, step.weight, step.stride) for step in steps]
    assert len(parts) == 2 + sum(arch.depths) == len(entries_of(arch))
    for part in parts:
        assert all(0 <= value <= i for i, step in enumerate(part.steps) for value in step.inputs)


def test_every_subnet_is_made_of_the_tables_blocks(mini: SearchSpace) -> None:
    blocks = blocks_of(mini, 16)
    assert len(blocks) == 2 + 5 * 2 * 12
    for arch, _ in zip(mini.sample(16, np.random.default_rng(4)), range(20), strict=False):
        assert [blocks[entry] for entry in entries_of(arch)] == list(parts_of(mini, arch))


def test_a_part_runs_alone_and_chained_parts_have_the_nets_shapes(mini: SearchSpace) -> None:
    writer = PartWriter(mini)
    arch = next(mini.sample(16, np.random.default_rng(5)))
    value = np.zeros((1, 16, 16, 1), np.int8)
    for part in parts_of(mini, arch):
        interpreter = Interpreter(model_content=writer.write_part(part))
        interpreter.allocate_tensors()
        assert interpreter.get_input_details()[0]["dtype"] == np.int8
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
        interpreter.invoke()
        value = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert value.shape == (1, mini.classes)
