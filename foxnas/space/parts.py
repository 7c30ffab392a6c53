"""A subnet cut into parts, each a network of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from foxnas.space.arch import Arch
from foxnas.space.operators import Step, input_shape, layer_ends_of, steps_of
from foxnas.space.space import SearchSpace


@dataclass(frozen=True)
class Part:
    """A run of a subnet's operators as a network of its own: what it reads, and steps that count from there."""

    input_shape: tuple[int, ...]
    steps: tuple[Step, ...]


def parts_of(space: SearchSpace, arch: Arch) -> tuple[Part, ...]:
    """Return the subnet cut into parts: stem with first block, every layer of every unit in turn, head with classifier.

    Raises FoxnasError like `steps_of`.
    """
    steps, ends = steps_of(space, arch), layer_ends_of(space, arch)
    shapes = [input_shape(space, arch), *(step.shape for step in steps)]
    return tuple(
        Part(
            tuple(shapes[start]),
            tuple(replace(step, inputs=tuple(value - start for value in step.inputs)) for step in steps[start:end]),
        )
        for start, end in pairwise([0, *ends, len(steps)])
    )
