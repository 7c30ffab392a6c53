"""Does it matter that a probe's weights repeat? Latency against probes whose weights do not.

    python -m benchmarks.probe_weights

The rival is the same subnet with a pool of a million random weights, as good as none repeated. Latencies are
medians of short bursts that take turns in one process; the noise floor is a probe against a copy of itself.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.probe_writing import latency_ratio, spread
from foxnas.int8.probe import ProbeWriter
from foxnas.runner.packing import pack
from foxnas.space.config import read_space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="cpu", help="a shipped space (default: cpu)")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--subnets", type=int, default=10)
    options = parser.parse_args()
    space, rng = read_space(options.space), np.random.default_rng(0)
    tiled, plain = ProbeWriter(space), ProbeWriter(space, blocks=(1 << 20, 1 << 14, 1 << 14))
    ratios, floor, sent, rival = [], [], [], []
    for _ in range(options.subnets):
        arch = space.draw(options.size, rng)
        one, other = tiled.write(arch), plain.write(arch)
        ratios.append(latency_ratio(one, other))
        floor.append(latency_ratio(one, one))
        sent.append(len(pack(one)) / 1000)
        rival.append(len(pack(other)) / 1000)
    print(f"space {space.name} at {options.size} px, {options.subnets} subnets; median (smallest to largest)")
    print(f"compressed              {spread(sent, '.0f')} kB, without repetition {spread(rival, '.0f')} kB")
    print(f"latency ratio           {spread(ratios, '.3f')}, repeated weights over others")
    print(f"its noise floor         {spread(floor, '.3f')}, a probe over itself")


if __name__ == "__main__":
    main()
