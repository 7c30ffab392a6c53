"""What evaluation could do otherwise: every variant against what it does, on the same subnets and images.

Forward pass, after one call that warms up: the variant's time over ours, both orders, several subnets. Compilers are
charged separately for what one subnet costs them before its first image.

    python -m benchmarks.evaluation_variants --space cpu --size 224 --batch 16
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.evaluation import THEIRS, run_as_a_job, spread, timed
from benchmarks.made_up import Held, shaken
from foxnas.accuracy.evaluation import evaluate, evaluate_together, measure
from foxnas.accuracy.preparation import Preparation, recalibrate
from foxnas.images.pixels import to_input
from foxnas.space.config import read_space
from foxnas.supernet import convolution
from foxnas.supernet.statistics import batch_statistics
from foxnas.supernet.subnet import ConvNorm, Subnet

Pass = Callable[[Tensor], Tensor]


def in_batches(network: Pass, images: Tensor, batch: int) -> Callable[[], None]:
    """Return what runs a network over images."""

    @torch.inference_mode()
    def run() -> None:
        for part in images.split(batch):
            network(part)

    return run


def ratios(variant: Callable[[], object], ours: Callable[[], object]) -> list[float]:
    """Return the variant's time over ours, in both orders."""
    variant()
    first, second = timed(ours), timed(variant)
    third, fourth = timed(variant), timed(ours)
    return [second / first, third / fourth]


def never(_x: Tensor) -> bool:
    """Stand in for what asks whether oneDNN attaches activations."""
    return False


@contextlib.contextmanager
def operator_by_operator() -> Iterator[None]:
    """Convolution, then activation; SAME padding by a copy of the image."""
    with mock.patch.object(convolution, "by_onednn", never):
        yield


def plainly(network: Pass) -> Pass:
    """Return the network, operator by operator."""

    def run(x: Tensor) -> Tensor:
        with operator_by_operator():
            return network(x)

    return run


def in_bf16(network: Pass) -> Pass:
    """Return the network under autocast."""

    def run(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(x)

    return run


def plain_recalibration(self: ConvNorm, x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """What `ConvNorm` does in training mode, without what makes it fast."""
    y = self._convolved(x, None)
    self._average(norm, *batch_statistics(y), len(x))
    y = nn.functional.batch_norm(y, None, None, norm.weight, norm.bias, True, 0.1, norm.eps)
    return y if self.activation is None else convolution.activate(y, self.activation, inplace=True)


def compilers(subnet: Subnet, batch: Tensor) -> Iterator[tuple[str, float, Pass]]:
    """Yield the name, the cost in seconds of the process, and the result of what compiles a subnet."""
    with torch.inference_mode():
        for name, compiled in (
            ("torch.jit.freeze", lambda: torch.jit.freeze(torch.jit.trace(subnet, batch))),
            ("torch.jit.optimize_for_inference",
             lambda: torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(subnet, batch)))),
            ("torch.compile", lambda: torch.compile(subnet, fullgraph=True)),
        ):  # fmt: skip
            begin = time.perf_counter()
            with operator_by_operator():
                network = compiled()
                for _ in range(2):
                    network(batch)
            yield name, time.perf_counter() - begin, network


class Variants:
    """Every variant, subnet after subnet."""

    def __init__(self, space_name: str, size: int, images: int, batch: int) -> None:
        self._space = replace(read_space(space_name), image_sizes=(size,), size_divisor=4)
        self._supernet, self._rng, self._batch = (
            shaken(self._space, self._space.name == THEIRS),
            np.random.default_rng(0),
            batch,
        )
        shape = images, size, size, self._space.image_channels
        self._pixels = self._rng.integers(0, 256, shape, dtype=np.uint8)
        self._labels, self._x = self._rng.integers(0, self._space.classes, images), to_input(self._pixels)
        self.found: dict[str, list[float]] = {}

    def _note(self, name: str, *values: float) -> None:
        self.found.setdefault(name, []).extend(values)

    def try_on_one(self, compile_too: bool) -> None:
        """Compare all on another random subnet."""
        x, batch, pixels, labels = self._x, self._batch, self._pixels, self._labels
        arch = self._space.draw(pixels.shape[1], self._rng)
        preparation = Preparation(self._supernet, Held(pixels), len(x), batch)
        subnet, contiguous = preparation.subnet(arch), copy.deepcopy(preparation.subnet(arch))
        contiguous.to(memory_format=torch.contiguous_format)
        ours = in_batches(subnet, x, batch)
        ours()
        self._note("ours, ms an image", 1000 * timed(ours) / len(x))

        def tell(name: str, variant: Callable[[], object]) -> None:
            self._note(name, *ratios(variant, ours))

        tell("operator by operator", in_batches(plainly(subnet), x, batch))
        tell("operator by operator, NCHW", in_batches(plainly(contiguous), x.contiguous(), batch))
        tell("bf16", in_batches(in_bf16(subnet), x, batch))
        for other in (batch // 4, batch // 2, 2 * batch, 4 * batch):
            if 0 < other <= len(x):
                tell(f"batches of {other}", in_batches(subnet, x, other))
        tell("from bytes, and counted, alone", lambda: evaluate(subnet, pixels, labels, batch))
        group = timed(lambda: evaluate_together(subnet.beginning, [[subnet.rest]] * 8, pixels, labels, batch))
        self._note("from bytes, and counted, eight together", group / 8 / timed(ours))
        tell("recalibrated with as many images", lambda: preparation.subnet(arch))
        fresh = Subnet(self._supernet, arch)
        with mock.patch.object(ConvNorm, "_normalised_by_batch", plain_recalibration):
            tell("recalibrated so, batch norm and activation apart", lambda: recalibrate(fresh, x.split(batch)))
        if compile_too:
            for name, cost_s, network in compilers(subnet, x[:batch]):
                tell(name, in_batches(network, x, batch))
                self._note(f"{name}, seconds it takes for one subnet", cost_s)


def work(space_name: str, size: int, images: int, batch: int, threads: int) -> None:
    """Evaluate subnets with so many threads, and print the images a second."""
    torch.set_num_threads(threads)
    space = replace(read_space(space_name), image_sizes=(size,), size_divisor=4)
    supernet, rng = shaken(space, space.name == THEIRS), np.random.default_rng(0)
    held = Held(rng.integers(0, 256, (images, size, size, space.image_channels), dtype=np.uint8))
    archs, labels = [space.draw(size, rng) for _ in range(4)], np.zeros(images, np.int64)
    preparation = Preparation(supernet, held, images, batch)
    list(measure(preparation, archs[:1], held, labels, batch))
    begin = time.perf_counter()
    list(measure(preparation, archs, held, labels, batch))
    print(len(archs) * images / (time.perf_counter() - begin))


def together(options: argparse.Namespace, processes: int, threads: int) -> float:
    """Return the images a second, over all processes, of so many with so many threads each."""
    command = [
        sys.executable, "-m", "benchmarks.evaluation_variants", "--space", options.space, "--size", str(options.size),
        "--images", str(options.images), "--batch", str(options.batch), "--threads", str(threads),
    ]  # fmt: skip
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(float(process.communicate()[0]) for process in started)


def main() -> None:
    """Print the variants at one setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="cpu")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--subnets", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compilers too: a minute or more")
    parser.add_argument("--processes", action="store_true", help="two processes against two threads, nothing else")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    run_as_a_job()
    warnings.simplefilter("ignore")
    if options.threads:
        work(options.space, options.size, options.images, options.batch, options.threads)
        return
    if options.processes:
        for _ in range(2):
            two, one = together(options, 2, 1), together(options, 1, 2)
            print(f"two processes of one thread over one of two threads: {two / one:.2f} the images a second")
        return
    torch.set_num_threads(1)
    variants = Variants(options.space, options.size, options.images, options.batch)
    for number in range(options.subnets):
        variants.try_on_one(options.compile and number == 0)
    head = f"{options.space}, {options.size} px, {options.images} images in batches of {options.batch}"
    print(f"{head}, {options.subnets} subnets: time over ours")
    for name, values in variants.found.items():
        print(f"  {name}: {spread(values)}, n = {len(values)}")


if __name__ == "__main__":
    main()
