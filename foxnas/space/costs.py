"""What a subnet costs besides time: parameters, multiply-accumulates, file size, activation memory.

The first three are sums and the last a maximum over layers, and a layer's share depends on nothing but its place,
its K and E and the image size. Tables of single layers therefore hold the costs of the whole space, to the unit;
that of the file alone is an upper bound. Squeeze-and-excitation makes a layer's share quadratic in E, so costs depend
on the (K, E) of every layer and not on a unit's averages, as predictions do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from foxnas.space.arch import Arch, Layer
from foxnas.space.operators import Kind, Step, input_shape, layer_ends_of, steps_of
from foxnas.space.space import SearchSpace

IntArray = NDArray[np.int64]

#: Bytes of a .tflite file that no layer accounts for: header, signature, operator codes, table layouts, the two ends'
#: QUANTIZE operators (1 kB together), and up to 3 kB of metadata that say what made the file.
_FILE_BYTES = 4096


@dataclass(frozen=True)
class Costs:
    """The costs of one subnet.

    Attributes
    ----------
    parameters
        Weights and biases, batch norms folded into them, as deployed.
    macs
        Multiply-accumulates of all convolutions and the classifier for one image.
    int8_bytes
        Size of the exported .tflite file, an upper bound: data, scales and names are counted, and every alignment
        takes its worst. Between 1% (a few MB) and 5% (100 kB) above the real file.
    activation_bytes
        The largest sum of int8 tensors alive at once while the operators run in order, the uint8 image, which
        the interpreter keeps throughout, included. A memory planner cannot do with less; kernels may want scratch
        memory besides.
    """

    parameters: int
    macs: int
    int8_bytes: int
    activation_bytes: int


#: Names of the costs, in the order of every array of this module. All but the last add up over layers.
COSTS = tuple(Costs.__dataclass_fields__)


def costs_of(space: SearchSpace, arch: Arch) -> Costs:
    """Return the costs of a subnet, operator by operator. Raises FoxnasError when `arch` lies outside `space`."""
    steps = steps_of(space, arch)
    image = math.prod(input_shape(space, arch))
    costs = _combine(_step_costs(steps, image), axis=0)
    costs[2] += _FILE_BYTES
    return Costs(*costs.tolist())


@dataclass(frozen=True, eq=False)
class CostTables:
    """The costs of every subnet of a space, by layer.

    Parameters
    ----------
    space
        The space.
    image_sizes
        The image sizes to tabulate; the first axis of every array.
    """

    space: SearchSpace
    image_sizes: tuple[int, ...]

    @cached_property
    def fixed(self) -> IntArray:
        """What belongs to no unit, stem, first block and head: (image size, cost)."""
        return self._layers[0]

    def of_units(self, units: Sequence[Sequence[Layer]]) -> IntArray:
        """Return what each given unit costs at each place: (image size, place, number given, cost).

        At a place that does not have such units, what is returned means nothing.
        """
        _, first, rest = self._layers
        index = {layer: i for i, layer in enumerate(self.space.layers())}
        firsts = first[:, :, [index[unit[0]] for unit in units]]
        # Beyond a unit's depth stands a layer that costs nothing.
        nothing = np.zeros_like(rest[:, :, :1])
        padded = np.concatenate([rest, nothing], axis=2)
        longest = max(map(len, units)) - 1
        rows = [[index[layer] for layer in unit[1:]] + [len(index)] * (longest - len(unit) + 1) for unit in units]
        return _combine(np.concatenate([firsts[:, :, :, None], padded[:, :, np.array(rows, int)]], axis=3), axis=3)

    def combine(self, sizes: NDArray[np.intp], parts: IntArray) -> IntArray:
        """Return the costs (n, cost) of subnets at indices of `image_sizes` out of their units' (n, place, cost)."""
        return _combine(np.concatenate([self.fixed[sizes][:, None], parts], axis=1), axis=1)

    def of(self, arch: Arch) -> Costs:
        """Return the costs of one subnet; equal to `costs_of`."""
        size = self.image_sizes.index(arch.image_size)
        parts = [self.of_units([unit])[size, place, 0] for place, unit in enumerate(arch.units)]
        return Costs(*self.combine(np.array([size]), np.stack(parts)[None])[0].tolist())

    @cached_property
    def _layers(self) -> tuple[IntArray, IntArray, IntArray]:
        """Costs of what is fixed (size, cost), of first layers and of later ones (size, place, layer, cost)."""
        space = self.space
        shape = (len(self.image_sizes), len(space.units), len(space.layers()), len(COSTS))
        fixed, first, rest = (
            np.zeros((shape[0], shape[3]), np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
        )
        for s, image_size in enumerate(self.image_sizes):
            for i, layer in enumerate(space.layers()):
                # Where a unit has no such layer, it has another, whose costs are not asked for.
                units = [(layer if layer in c.layers() else c.layers()[0],) * c.depths[-1] for c in space.choices]
                arch = Arch(image_size, tuple(units))
                steps = _step_costs(steps_of(space, arch), math.prod(input_shape(space, arch)))
                stem, *layers, head = np.split(steps, layer_ends_of(space, arch))
                fixed[s] = _combine(np.concatenate([stem, head]), axis=0)
                costs = iter(_combine(part, axis=0) for part in layers)
                for place, unit in enumerate(units):
                    of_unit = [next(costs) for _ in unit]
                    first[s, place, i] = of_unit[0]
                    rest[s, place, i] = of_unit[1] if len(unit) > 1 else 0
        fixed[:, 2] += _FILE_BYTES
        return fixed, first, rest


def _combine(costs: IntArray, axis: int) -> IntArray:
    """Return the costs (..., cost) of the whole out of those of its parts along `axis`."""
    return np.concatenate([costs[..., :3].sum(axis=axis), costs[..., 3:].max(axis=axis)], axis=-1)


def _step_costs(steps: Sequence[Step], image_bytes: int) -> IntArray:
    """Costs of every step: (step, cost). The first step carries what the quantised image takes before it runs."""
    sums = [(_parameters(step), multiply_accumulates(step), _file_bytes(step)) for step in steps]
    return np.column_stack([np.array(sums, np.int64), _live_bytes(steps, image_bytes)])


def _channels(step: Step) -> int:
    return step.weight[3 if step.kind is Kind.DEPTHWISE else 0]


def _parameters(step: Step) -> int:
    return math.prod(step.weight) + _channels(step) if step.weight else 0


def multiply_accumulates(step: Step) -> int:
    """Return the multiply-accumulates of one operator."""
    if not step.weight:
        return 0
    # Every output value is one dot product with a filter.
    return math.prod(step.shape) * (math.prod(step.weight) // _channels(step))


def _file_bytes(step: Step) -> int:
    """An upper bound of what an operator and its tensors take of a .tflite file.

    The lengths follow FlatBuffers' layout as `foxnas.int8.graph.pack` writes it: a vector is four bytes of length
    and its content on its boundary (16 for data), a table four bytes and its fields, and all is pointed to once.
    """
    name, inputs = (43, 3) if step.weight else (20, 2)
    operator = 4 + 24 + (4 + 4 * inputs) + 8 + 20
    value = _tensor_bytes(len(step.shape), 1, name + 1)
    if step.kind in (Kind.CENTRE, Kind.PAD):
        # A mean of three channels, or eight numbers of padding.
        return operator + value + _tensor_bytes(2, 1, name) + _data_bytes(32)
    if not step.weight:
        return operator + value
    scales = 1 if step.kind is Kind.DENSE else _channels(step)
    filter = _tensor_bytes(len(step.weight), scales, len("depthwise_000")) + _data_bytes(math.prod(step.weight))
    bias = _tensor_bytes(1, scales, name) + _data_bytes(4 * _channels(step))
    return operator + value + filter + bias


def _tensor_bytes(rank: int, scales: int, name: int) -> int:
    """A tensor's table, shape, name and scales; `name` is the most letters that the converter gives it."""
    table, shape, text = 4 + 24, 4 + 4 * rank, 4 + name + 4
    quantisation = 20 + (4 + 4 * scales) + (4 + 8 * scales + 4)
    return table + shape + text + quantisation + 4


def _data_bytes(size: int) -> int:
    return 8 + 4 + size + 15


def _live_bytes(steps: Sequence[Step], image_bytes: int) -> IntArray:
    """Bytes alive while each step runs: the image, the step's inputs and output, and whatever a later step reads."""
    bytes_of = [image_bytes, *(math.prod(step.shape) for step in steps)]
    last_use = dict(chain.from_iterable(((v, i) for v in step.inputs) for i, step in enumerate(steps)))
    live = [
        image_bytes + bytes_of[i + 1] + sum(bytes_of[v] for v in range(i + 1) if last_use.get(v, -1) >= i)
        for i in range(len(steps))
    ]
    return np.array(live, np.int64)
