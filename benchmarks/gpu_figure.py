"""The third panel of the paper's figure 7 from what `benchmarks.gpu` wrote: both spaces on a GPU, and how they fit.

python -m benchmarks.gpu_figure benchmarks/data/gpu-h100.json docs/evidence/gpu.png
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from foxnas.predictor.fit import fit
from foxnas.predictor.forms import shape_of
from foxnas.search.landscape import Landscape
from foxnas.search.strategies.exact import frontier
from foxnas.space.config import read_space
from foxnas.space.costs import costs_of

COLOURS = {"cpu": "tab:blue", "tpu": "tab:orange"}


def draw(axes: tuple[Axes, Axes], name: str, size: int, rows: np.ndarray) -> None:
    """Draw a space's subnets and frontier, and its held-out latencies; rows are measured, fitted and held-out ms."""
    space, colour = read_space(name), COLOURS[name]
    archs = list(islice(space.sample(size, np.random.default_rng(0)), len(rows)))
    measured, _, held_out = rows.T
    millions = np.array([costs_of(space, arch).parameters for arch in archs]) / 1e6
    fits = [
        fit(**shape_of("latency", "layers-shrunk"), space=space, image_size=size, archs=archs, y=y, target=target,
            unit=unit)
        for y, target, unit in ((millions, "parameters", "millions"), (measured, "latency", "ms"))
    ]  # fmt: skip
    best = frontier(Landscape(space, {size: fits[0]}, {size: fits[1]})).candidates
    plane, agreement = axes
    plane.scatter(measured, millions, s=9, alpha=0.5, color=colour, label=f"{name} space, {len(rows)} subnets")
    plane.step([one.latency_ms for one in best], [one.accuracy for one in best], where="post", color=colour,
               label="its frontier, predicted")  # fmt: skip
    agreement.scatter(held_out, measured, s=9, alpha=0.5, color=colour, label=f"{name} space")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="the JSON of benchmarks.gpu")
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.figures.read_text())
    latency = found["latency"]
    drawn, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for name, one in latency["spaces"].items():
        draw(tuple(axes), name, latency["size"], np.array(one["layers"]["figure_7"]["rows"]))
    axes[0].set(xlabel="latency, ms, measured", ylabel="parameters, millions", xscale="log")
    ends = axes[1].get_xlim()
    axes[1].plot(ends, ends, color="grey", linewidth=0.8, zorder=0)
    axes[1].set(xlabel="latency, ms, predicted by a fit without the subnet", ylabel="latency, ms, measured")
    for axis in axes:
        axis.legend(fontsize=8)
    gpu = found["machine"]["gpu"]
    drawn.suptitle(f"{gpu}: batches of {latency['batch']}, {latency['size']} px, fp32", fontsize=11)
    drawn.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
