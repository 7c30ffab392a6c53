"""Probe writing against TensorFlow's converter: milliseconds a probe, and the latency of the two files.

    python benchmarks/probe_writing.py --subnets 10
    python benchmarks/probe_writing.py --space cpu --subnets 3

The rival makes the same int8 model from random weights with as little calibration as it can do with.
Its one-time costs (importing TensorFlow, a first conversion) are left out. Latencies are medians of
short bursts that take turns, so that both files see the same machine.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_summary
from foxnas.space.arch import Arch
from foxnas.space.config import read_space, shipped_spaces
from foxnas.space.layers import UnitSpec
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet


def space_of(name: str) -> SearchSpace:
    """The demo's kind of space, starved further, or a shipped one at its full widths."""
    if name == "mini":
        units = tuple(map(UnitSpec, (4, 6, 8, 12, 16), (2, 1, 2, 1, 1), (2, 1, 2, 1, 1)))
        return replace(read_space(name), stem_width=4, units=units)
    return read_space(name)


def convert(supernet: Supernet, arch: Arch, rng: np.random.Generator) -> tuple[bytes, float]:
    """Return the converter's file and the milliseconds it took, extraction of the subnet not counted."""
    shape = (arch.image_size, arch.image_size, supernet.space.image_channels)
    images = rng.integers(0, 256, (4, *shape), np.uint8)
    subnet = Subnet(supernet, arch)
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.5, 0.5)
    with torch.no_grad():
        subnet.train()(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    subnet.fold()
    started = time.perf_counter()
    content = export_int8(subnet, images, exporter="tensorflow")
    return content, 1000 * (time.perf_counter() - started)


def loaded(content: bytes) -> Callable[[], None]:
    """One inference of a model on LiteRT with one thread."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter.invoke


def latency_ratio(first: bytes, second: bytes) -> float:
    """Latency of the first model over that of the second.

    The model that comes first measures 2-3% slower, even against a copy of itself, so both orders are
    timed and their geometric mean is taken.
    """
    return math.sqrt(ratio_as_loaded(first, second) / ratio_as_loaded(second, first))


def ratio_as_loaded(first: bytes, second: bytes, bursts: int = 30, burst_ms: float = 5) -> float:
    """Median CPU time of the model loaded first over that of the other, in bursts that take turns.

    One thread's latency is its CPU time, and that does not grow when another process takes the CPU.
    """
    models = loaded(first), loaded(second)
    took: tuple[list[float], list[float]] = ([], [])
    for invoke in models:
        invoke()
    for burst in range(bursts):
        for side in (0, 1) if burst % 2 else (1, 0):
            runs, started = 0, time.process_time()
            while (passed := time.process_time() - started) < burst_ms / 1000:
                models[side]()
                runs += 1
            took[side].append(passed / runs)
    return float(np.median(took[0]) / np.median(took[1]))


def spread(values: Sequence[float], form: str) -> str:
    """Median with the range."""
    low, middle, high = (format(v, form) for v in (min(values), float(np.median(values)), max(values)))
    return f"{middle} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=shipped_spaces(), default="mini")
    parser.add_argument("--subnets", type=int, default=10, help="uniform subnets over all image sizes (default: 10)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    space = space_of(options.space)
    supernet, writer = Supernet(space), ProbeWriter(space)
    warm = space.smallest(space.image_sizes[0])
    convert(supernet, warm, rng)
    writer.write(warm)

    direct_ms, converter_ms, ratios, controls, equal = [], [], [], [], 0
    for number in range(options.subnets):
        arch = space.draw(space.image_sizes[number % len(space.image_sizes)], rng)
        started = time.perf_counter()
        probe = writer.write(arch)
        direct_ms.append(1000 * (time.perf_counter() - started))
        converted, took = convert(supernet, arch, rng)
        converter_ms.append(took)
        equal += read_summary(probe) == read_summary(converted)
        ratios.append(latency_ratio(probe, converted))
        controls.append(latency_ratio(probe, probe))
    faster = [c / d for c, d in zip(converter_ms, direct_ms, strict=True)]
    print(f"space {space.name}, {options.subnets} subnets; median (smallest to largest)")
    print(f"written directly       {spread(direct_ms, '.1f')} ms")
    print(f"TensorFlow's converter {spread(converter_ms, '.0f')} ms")
    print(f"ratio                  {spread(faster, '.0f')}")
    print(f"latency ratio          {spread(ratios, '.3f')}, probe over converted file")
    print(f"its noise floor        {spread(controls, '.3f')}, probe over itself")
    print(f"equal op for op        {equal} of {options.subnets}")


if __name__ == "__main__":
    main()
