"""Blocks to be timed: int8 models that have a block several times over, so that it takes long enough by itself."""

from __future__ import annotations

from dataclasses import replace

from foxnas.int8.graph import Scale
from foxnas.int8.probe import ProbeWriter
from foxnas.space.blocks import Block
from foxnas.space.operators import Kind, Step
from foxnas.space.parts import Part

#: Of what a block reads, as of what it writes.
_READ = Scale.of(8 / 255, 0)


class PartWriter(ProbeWriter):
    """Writes parts of the probes of one space, with random weights."""

    def write_part(self, part: Part) -> bytes:
        """Return the int8 .tflite file of one part of a subnet."""
        return self._write(part.steps, part.input_shape, _READ, whole=False)

    def write_chain(self, block: Block, copies: int) -> bytes:
        """Return the int8 .tflite file of so many copies of a block, each with weights of its own."""
        return self.write_part(chained(block, copies))


def chained(block: Block, copies: int) -> Part:
    """Return copies of a block one after another, as in a unit.

    Where the shape changes they stand side by side, all read the same, and what they write is added up, so that no
    runtime leaves one out. That addition is the same for every K and E.
    """
    read, steps, ends = 0, list[Step](), list[int]()
    for _ in range(copies):
        start = len(steps)
        steps += [
            replace(step, inputs=tuple(start + value if value else read for value in step.inputs))
            for step in block.part.steps
        ]
        ends.append(len(steps))
        if block.keeps_its_shape:
            read = ends[-1]
    if not block.keeps_its_shape:
        shape = steps[-1].shape
        total = ends[0]
        for end in ends[1:]:
            steps.append(Step(Kind.ADD, (total, end), shape))
            total = len(steps)
    return Part(block.part.input_shape, tuple(steps))
