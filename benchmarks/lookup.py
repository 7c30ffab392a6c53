"""A lookup table of blocks timed alone, held against our regressions on the same subnets.

    python -m benchmarks.lookup            # after a finished run, on the machine that made it, otherwise idle

The table is the one that ProxylessNAS and its followers predict latency with: every layer that the space has (unit,
first or later, K, E), the stem and the head are timed as int8 models of their own, with the run's protocol, and a
subnet's latency is their sum. "calibrated" also fits an offset and a factor to measured subnets. Ours is the run's
own regression. All errors are on subnets that were not fitted to: ten folds for ours and for the calibration.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats

from foxnas.config.whole import read_config
from foxnas.device.building import build_device
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device
from foxnas.files.tables import read_json, read_table
from foxnas.int8.chain import PartWriter
from foxnas.predictor.solution import cross_validated, least_squares_coefficients
from foxnas.space.arch import Arch
from foxnas.space.parts import Part, parts_of
from foxnas.space.space import SearchSpace

Entry = tuple[str, int, int, int]
"""Part (such as "unit 2"), position (0 for a unit's first layer, 1 for all others), K and E."""


def entries_of(arch: Arch) -> list[Entry]:
    """Name the parts of a subnet, in the order of `parts_of`."""
    layers = [
        (f"unit {place}", min(position, 1), k, e)
        for place, unit in enumerate(arch.units, 1)
        for position, (k, e) in enumerate(unit)
    ]
    return [("stem", 0, 0, 0), *layers, ("head", 0, 0, 0)]


def blocks_of(space: SearchSpace, size: int) -> dict[Entry, Part]:
    """Return every block of a space at an image size, out of subnets whose layers are all alike."""
    blocks: dict[Entry, Part] = {}
    for layer in space.layers():
        arch = Arch(size, ((layer,) * space.depths[0],) * len(space.units))
        blocks |= dict(zip(entries_of(arch), parts_of(space, arch), strict=True))
    return blocks


def measured_table(
    space: SearchSpace, size: int, device: Device, protocol: MeasurementProtocol, journal: Path
) -> dict[Entry, float]:
    """Time every block alone; return milliseconds."""
    writer = PartWriter(space)
    blocks = blocks_of(space, size)
    names = {" ".join(map(str, entry)): entry for entry in blocks}
    probes = [(name, name, partial(writer.write_part, blocks[entry])) for name, entry in names.items()]
    reference = writer.write(space.largest(space.image_sizes[0]))
    rows = measure_probes(device, protocol, probes, reference, journal, np.random.default_rng(size))[0]
    return {names[name]: ms for name, ms in zip(rows["id"], rows["latency_ms"], strict=True)}


def line(name: str, size: int, predicted: np.ndarray, truth: np.ndarray) -> str:
    """Return root mean squared error over the standard deviation, mean error and rank correlation."""
    rmse = np.sqrt(np.mean((predicted - truth) ** 2)) / truth.std(ddof=1)
    bias = 100 * np.mean(predicted / truth - 1)
    tau = stats.kendalltau(predicted, truth).statistic
    return f"{size} px  {name:26s} RMSE / sd {rmse:.3f}   mean error {bias:+.1f}%   tau {tau:.3f}"


def compare(table: dict[Entry, float], archs: Sequence[Arch], truth: np.ndarray, size: int) -> list[str]:
    """Return the lines of the lookup table, raw and calibrated."""
    sums = np.array([sum(table[entry] for entry in entries_of(arch)) for arch in archs])
    x = np.column_stack([np.ones(len(sums)), sums])
    calibrated = cross_validated(least_squares_coefficients, x, truth, 10, np.random.default_rng(0))
    return [line("blocks timed alone", size, sums, truth), line("the same, calibrated", size, calibrated, truth)]


def main() -> None:
    """Print the comparison for the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--sizes", type=int, nargs="+", help="default: the smallest, the middle and the largest")
    parser.add_argument("--folder", type=Path, default=Path("results/lookup"))
    options = parser.parse_args()
    config = read_config(options.config)
    space = config.space
    device, protocol = build_device(config.devices[0].measured, config.devices[0].access, [])
    sizes = options.sizes or [space.image_sizes[i] for i in (0, len(space.image_sizes) // 2, -1)]
    for size in sizes:
        own = options.results / space.name / str(size)
        rows = read_table(own / f"latency-{config.devices[0].name}.csv").query("usable")
        archs = [space.parse(str(text)) for text in rows["arch"]]
        truth = rows["latency_ms"].to_numpy()
        table = measured_table(space, size, device, protocol, options.folder / f"blocks-{size}.jsonl")
        print("\n".join(compare(table, archs, truth, size)), flush=True)
        fits = read_json(own / "predictors" / f"latency-{config.devices[0].name}-fits.json")["fits"]
        for form in ("paper", "layers"):
            if fit := fits.get(f"latency/{form}"):
                held = dict(zip(fit["rows"]["id"], fit["rows"]["held_out"], strict=True))
                print(line(f"ours, {form}", size, np.array([held[i] for i in rows["id"]]), truth), flush=True)
        print(f"{size} px  {len(table)} blocks timed", flush=True)


if __name__ == "__main__":
    main()
