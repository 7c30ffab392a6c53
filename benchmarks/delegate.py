"""Latency with the XNNPACK delegate against the runtime's own kernels, by kernel size.

For every K, the subnet whose layers all have that K, middle depth and a middle E, is timed both ways in
turn on this machine. A ratio above 1 means that XNNPACK is slower.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from foxnas.config.whole import read_config
from foxnas.device.building import build_device
from foxnas.device.whole_models import measure_models
from foxnas.int8.probe import ProbeWriter
from foxnas.space.arch import Arch


def main() -> None:
    """Print one line per image size and K."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    options = parser.parse_args()
    config = read_config(options.config)
    space = config.space
    writer = ProbeWriter(space)
    models = {}
    for size in (space.image_sizes[0], space.image_sizes[-1]):
        for kernel in space.kernel_sizes:
            unit = ((kernel, space.expansion_ratios[1]),) * space.depths[1]
            models[f"{size} px, K = {kernel}"] = writer.write(Arch(size, (unit,) * len(space.units)))
    reference = writer.write(space.largest(space.image_sizes[0]))
    timed = {}
    for xnnpack in (False, True):
        protocol = replace(config.devices[0].protocol, xnnpack=xnnpack)
        measured = config.devices[0].measured.model_copy(update={"protocol": protocol})
        device, settings = build_device(measured, config.devices[0].access, [])
        timed[xnnpack], _ = measure_models(device, settings, models, reference, 3, np.random.default_rng(0))
    for name in models:
        own, delegate = timed[False][name].median_ms, timed[True][name].median_ms
        print(f"{name}: own kernels {own:.3f} ms, XNNPACK {delegate:.3f} ms, ratio {delegate / own:.2f}")


if __name__ == "__main__":
    main()
