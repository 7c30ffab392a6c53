"""Costs against PyTorch, the files that are really written, and the memory that the runtime really plans."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foxnas.errors import FoxnasError
from foxnas.int8.config import Exporter
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import Summary, read_summary, with_metadata
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.costs import COSTS, CostTables, costs_of
from foxnas.space.layers import FUSED
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from tests.support.kinds import PER_UNIT
from tests.support.published import CPU_SPACE


def corners(space: SearchSpace) -> list[Arch]:
    """The smallest, the largest, and a few random subnets."""
    rng = np.random.default_rng(0)
    low, high = space.image_sizes[0], space.image_sizes[-1]
    return [
        space.smallest(low),
        space.largest(high),
        *(space.draw(int(rng.choice((low, high))), rng) for _ in range(3)),
    ]


def subnet_of(space: SearchSpace, arch: Arch) -> Subnet:
    return Subnet(Supernet(space), arch)


def test_parameters_and_macs_are_those_of_the_torch_subnet(mini: SearchSpace) -> None:
    fused, padded, lite = read_space("tpu"), read_space("ofa_mbv3_d234_e346_k357_w1.0"), read_space("lite0")
    small = [(space, space.smallest(space.image_sizes[0])) for space in (CPU_SPACE, fused, padded, lite)]
    cornered = [(space, arch) for space in (mini, PER_UNIT) for arch in corners(space)]
    for space, arch in [*cornered, *small]:
        subnet = subnet_of(space, arch).fold()
        costs = costs_of(space, arch)
        assert costs.parameters == sum(parameter.numel() for parameter in subnet.parameters())
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            # In double precision, which takes the convolutions that the counter knows.
            subnet.double()(torch.zeros(1, space.image_channels, arch.image_size, arch.image_size).double())
        assert 2 * costs.macs == counter.get_total_flops()


def test_squeeze_and_excitation_makes_parameters_quadratic_in_the_expansion_ratio(mini: SearchSpace) -> None:
    # Equal averages (the same for the predictors), another multiset: (2, 6) against (4, 4) in a unit of type 1.
    base = mini.smallest(16)
    k = mini.kernel_sizes[0]
    uneven = base.with_unit(4, ((k, 2), (k, 2), (k, 6)))
    even = base.with_unit(4, ((k, 2), (k, 4), (k, 4)))
    # Weights of the two gate convolutions are 2 h^2 / 4 at hidden width h; all else is linear.
    gate = [2 * h * h // 4 for h in (32, 96, 64)]
    assert costs_of(mini, uneven).parameters - costs_of(mini, even).parameters == gate[0] + gate[1] - 2 * gate[2]


@pytest.mark.parametrize("exporter", get_args(Exporter))
@pytest.mark.parametrize("size_and_kind", [(16, "smallest"), (40, "largest")])
def test_the_exported_file_is_below_its_bound_and_near_it(
    mini: SearchSpace, size_and_kind: tuple[int, str], exporter: Exporter
) -> None:
    size, kind = size_and_kind
    arch = getattr(mini, kind)(size)
    torch.manual_seed(0)
    subnet = subnet_of(mini, arch)
    for parameter in subnet.parameters():
        # Fresh layers have equal biases, which the converter would store once.
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1, 0.2)
    images = np.random.default_rng(0).integers(0, 256, (16, size, size, 1), np.uint8)
    subnet.train()
    subnet(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    file = with_metadata(export_int8(subnet.fold(), images, exporter=exporter), {"made_by": "x" * 1500})
    bound = costs_of(mini, arch).int8_bytes
    # Names of tensors are shorter in our own file.
    assert len(file) <= bound <= 1.04 * len(file) + {"tensorflow": 4096, "foxnas": 8192}[exporter]


def test_probes_of_the_full_space_are_below_the_bound() -> None:
    # Probes share scales that exports do not, so they are smaller still; the data, most of the file, are the same.
    writer = ProbeWriter(CPU_SPACE)
    for arch in (CPU_SPACE.smallest(128), CPU_SPACE.draw(192, np.random.default_rng(1))):
        size = len(writer.write(arch))
        assert size <= costs_of(CPU_SPACE, arch).int8_bytes <= 1.05 * size


def walked_peak(summary: Summary) -> int:
    """Peak of live activation bytes of a written graph; the image is never given back."""
    sizes = {i: math.prod(t.shape) for i, t in enumerate(summary.tensors) if not t.constant}
    last_read = {i: n for n, operator in enumerate(summary.operators) for i in operator.inputs if i in sizes}
    alive, peak = set(summary.inputs), 0
    for n, operator in enumerate(summary.operators):
        alive |= set(operator.outputs)
        peak = max(peak, sum(sizes[i] for i in alive))
        alive -= {i for i in alive if last_read.get(i, -1) <= n and i not in summary.inputs}
    return peak


def planned_bytes(model: bytes) -> int:
    """Extent of the addresses of all activations in the interpreter's arena, its own kernels in use."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    runtime = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)
    runtime.allocate_tensors()
    constant = [tensor.constant for tensor in read_summary(model).tensors]
    spans = [
        (address, address + view.nbytes)
        for i, fixed in enumerate(constant)
        if not fixed
        for view in [runtime.tensor(i)()]
        for address in [view.__array_interface__["data"][0]]
    ]
    return max(end for _, end in spans) - min(start for start, _ in spans)


def test_activation_memory_is_what_the_graph_needs_and_what_the_runtime_plans(mini: SearchSpace) -> None:
    others = [CPU_SPACE, PER_UNIT, *map(read_space, ("tpu", "ofa_mbv3_d234_e346_k357_w1.0", "lite0", "pi5"))]
    drawn = [(space, [space.draw(space.image_sizes[0], np.random.default_rng(2))]) for space in others]
    for space, archs in [(mini, corners(mini)), *drawn]:
        writer = ProbeWriter(space)
        for arch in archs:
            model = writer.write(arch)
            needed = costs_of(space, arch).activation_bytes
            assert needed == walked_peak(read_summary(model))
            planned = planned_bytes(model)
            assert planned >= needed
            # The planner aligns every tensor to 64 bytes and cannot always pack without holes. A fused layer's kernel
            # also takes scratch memory there, which is its own and not counted.
            if not any(spec.type == FUSED for spec in space.units):
                assert planned <= 1.25 * needed + 64 * 10


def test_tables_of_layers_hold_the_costs_of_every_subnet(mini: SearchSpace) -> None:
    rng = np.random.default_rng(3)
    for space in (mini, PER_UNIT, *map(read_space, ("tpu", "ofa_mbv3_d234_e346_k357_w1.0", "lite0", "pi5"))):
        tables = CostTables(space, space.image_sizes[:2])
        for _ in range(40):
            arch = space.draw(int(rng.choice(space.image_sizes[:2])), rng)
            assert tables.of(arch) == costs_of(space, arch)


def test_no_choice_that_grows_lowers_a_cost(mini: SearchSpace) -> None:
    for arch in corners(mini):
        for other in mini.neighbours(arch):
            larger = other.image_size >= arch.image_size and all(
                len(a) <= len(b) and all(x[0] <= y[0] and x[1] <= y[1] for x, y in zip(a, b, strict=False))
                for a, b in zip(arch.units, other.units, strict=True)
            )
            if larger:
                one, two = costs_of(mini, arch), costs_of(mini, other)
                assert all(getattr(one, name) <= getattr(two, name) for name in COSTS)


def test_a_subnet_of_another_space_is_refused(mini: SearchSpace) -> None:
    with pytest.raises(FoxnasError, match="image size"):
        costs_of(mini, CPU_SPACE.smallest(320))


def test_norms_count_as_the_biases_they_become(mini: SearchSpace) -> None:
    arch = mini.smallest(16)
    subnet = subnet_of(mini, arch)
    channels = sum(m.num_features for m in subnet.modules() if isinstance(m, nn.BatchNorm2d))
    unfolded = sum(parameter.numel() for parameter in subnet.parameters())
    assert costs_of(mini, arch).parameters == unfolded - channels
