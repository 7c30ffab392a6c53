"""Subnet evaluation against the bare forward pass of the same extracted subnets.

Ours is everything a row of accuracy.csv costs on the fit images, batch norm already folded: input
conversion, forward pass, counting. The rival is the forward pass alone, of the same static subnets in
the same run, on tensors that are ready. Recalibration is reported beside it, in images' worth.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from foxnas.accuracy import evaluate, prepare_subnet
from foxnas.config.whole import read_config
from foxnas.data import to_input
from foxnas.supernet.model import Supernet


def bare_forward(subnet: nn.Module, batches: tuple[torch.Tensor, ...]) -> None:
    """The rival: nothing but the network."""
    with torch.inference_mode():
        for batch in batches:
            subnet(batch)


def seconds(action: Callable[..., object], *arguments: object) -> float:
    """Return how long a call takes."""
    begin = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begin


def compare(supernet: Supernet, size: int, count: int, images: int, batch: int, rng: np.random.Generator) -> str:
    """Time `count` random subnets of one image size both ways; return the sentence to print."""
    space = supernet.space
    pixels = rng.integers(0, 256, (images, size, size, space.image_channels), dtype=np.uint8)
    labels = rng.integers(0, space.classes, images)
    ready = to_input(pixels)
    ratios, ours_s, prepare_s = [], [], []
    for _ in range(count):
        arch = space.draw(size, rng)
        prepare_s.append(seconds(prepare_subnet, supernet, arch, ready, batch))
        subnet = prepare_subnet(supernet, arch, ready, batch)
        ours, rival = (evaluate, subnet, pixels, labels, batch), (bare_forward, subnet, ready.split(batch))
        seconds(*rival)
        # Both orders, so that neither rides on the other's warm caches.
        first, second = seconds(*ours), seconds(*rival)
        fourth, third = seconds(*rival), seconds(*ours)
        ours_s += [first, third]
        ratios += [second / first, fourth / third]
    low, middle, high = np.percentile(ratios, [10, 50, 90])
    return (
        f"{size} px: {images / statistics.median(ours_s):.0f} images/s; throughput / bare forward {middle:.3f} "
        f"(p10 {low:.3f}, p90 {high:.3f}, n = {len(ratios)}); extraction and recalibration cost "
        f"{statistics.median(prepare_s) / statistics.median(ours_s):.2f} evaluations of as many images"
    )


def main() -> None:
    """Print throughputs and ratios for the smallest, the middle and the largest image size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--subnets", type=int, default=6)
    parser.add_argument("--images", type=int, default=2048)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    space = config.space.build()
    supernet = Supernet(space).to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    for size in (space.image_sizes[0], space.image_sizes[len(space.image_sizes) // 2], space.image_sizes[-1]):
        print(compare(supernet, size, options.subnets, options.images, config.accuracy.batch_size, rng), flush=True)


if __name__ == "__main__":
    main()
