"""What h-swish costs in int8: Once-for-All's space against itself with ReLU6, as probes, on the runtime's two kernels.

    python -m benchmarks.hard_swish --subnets 6

Kernels are at most 5x5, because 7x7 ones are a cliff of their own in XNNPACK (see `benchmarks.delegate`).
A ratio is between medians of bursts that take turns, in one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from benchmarks.probe_writing import spread
from foxnas.int8.probe import ProbeWriter
from foxnas.space.config import read_space

KERNELS = {"XNNPACK": OpResolverType.AUTO, "own kernels": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


def loaded(content: bytes, kernels: OpResolverType) -> Callable[[], None]:
    """One inference on one thread, warmed up."""
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter.invoke


def milliseconds(invoke: Callable[[], None]) -> float:
    """Fastest of three inferences: a burst."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        invoke()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def main() -> None:
    """Print the ratio of latencies for each kind of kernels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subnets", type=int, default=6)
    parser.add_argument("--size", type=int, default=160)
    options = parser.parse_args()
    swish = replace(read_space("ofa_mbv3_d234_e346_k357_w1.0"), kernel_sizes=(3, 5), image_sizes=(options.size,))
    units = tuple(replace(unit, activation="relu6") for unit in swish.units)
    relu6 = replace(swish, units=units, stem_activation="relu6", first_activation="relu6", head_activation="relu6")
    archs = [swish.draw(options.size, np.random.default_rng(seed)) for seed in range(options.subnets)]
    for name, kernels in KERNELS.items():
        ratios, with_swish = [], []
        for arch in archs:
            models = [loaded(ProbeWriter(space).write(arch), kernels) for space in (swish, relu6)]
            rounds = [[milliseconds(invoke) for invoke in models] for _ in range(7)]
            one, other = (statistics.median(column) for column in zip(*rounds, strict=True))
            with_swish.append(one)
            ratios.append(one / other)
        print(f"{name}: h-swish {spread(with_swish, '.1f')} ms, {spread(ratios, '.2f')} times as long as with ReLU6")


if __name__ == "__main__":
    main()
