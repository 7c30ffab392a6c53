"""Ethos-U: what weights do to Vela's estimates, and the paper's figure 7, CPU space against TPU space, on an NPU.

    python -m benchmarks.ethos_u weights --results results     # after a finished run of the demo
    python -m benchmarks.ethos_u spaces --figure docs/evidence/ethos-u.png

`weights` exports random subnets of the demo's trained supernet and compiles each beside probes of the same
architecture: with uniform weights, as timed devices get, and with normal ones, as `foxnas.ethosu.probe` writes.

`spaces` estimates random subnets of both shipped full-scale spaces on two NPUs, and times the same on this CPU (the
runtime's own kernels, one thread, the least CPU time of a few runs: other processes cost no CPU time of ours). Fits
are held out in ten folds. A pair is a subnet of each space whose numbers of parameters differ by less than 2%: random
subnets of the two spaces hardly overlap, so pairs come from subnets in which some units are the smallest or largest.
No accuracy is known of these spaces here, so a frontier is of parameters: the most that any architecture is predicted
to have within a latency.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from foxnas.accuracy.preparation import Preparation
from foxnas.config.whole import read_config
from foxnas.device.npu import NpuSettings
from foxnas.ethosu.probe import TrainedLikeWriter
from foxnas.ethosu.vela import Vela
from foxnas.files.arrays import ArraysBySize
from foxnas.files.progress import follow
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.predictor.fit import fit
from foxnas.predictor.forms import shape_of
from foxnas.search.landscape import Landscape
from foxnas.search.strategies.exact import frontier
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from tests.support.vela import vela

NPUS = {
    "Ethos-U55-256": NpuSettings(
        accelerator_config="ethos-u55-256", system_config="Ethos_U55_High_End_Embedded", memory_mode="Shared_Sram"
    ),
    "Ethos-U65-512": NpuSettings(
        accelerator_config="ethos-u65-512", system_config="Ethos_U65_High_End", memory_mode="Dedicated_Sram"
    ),
}
CPU = "this CPU"
COLOURS = {"cpu": "tab:blue", "tpu": "tab:orange"}


def estimates(contents: Sequence[Callable[[], bytes]], npu: NpuSettings, what: str) -> list[tuple[float, int]]:
    """Return milliseconds and encoded bytes of weights of every model, compiled on all cores."""

    def one(write: Callable[[], bytes]) -> tuple[float, int]:
        found = Vela(vela(), npu).compile(write()).estimate
        assert found is not None
        assert not found.problem, found.problem
        return found.npu_ms, found.encoded_weight_bytes

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(follow(pool.map(one, contents), len(contents), what))


def spread(values: Sequence[float]) -> str:
    """Return mean and range of percentages."""
    return f"{np.mean(values):+.1f}% ({min(values):+.1f} to {max(values):+.1f})"


def weights(results: Path, subnets: int) -> None:
    """Print by how much probes differ from exported subnets with trained weights."""
    torch.set_num_threads(1)
    config = read_config(Path("config/config.yaml"))
    space, data = config.space, results / "data"
    sizes = [size for size in space.image_sizes if (data / str(size) / "calibration-images.npy").exists()]
    calibration = ArraysBySize([data / str(size) / "calibration-images.npy" for size in sizes])
    supernet = load_supernet(space, Path("models/mini-fashion-mnist.safetensors"))
    preparation = Preparation(supernet, calibration, config.accuracy.recalibration_images, config.accuracy.batch_size)
    each = -(-subnets // len(sizes))
    archs = [a for s in sizes for a in islice(space.sample(s, np.random.default_rng([13, s])), each)]
    trained = []
    for arch in follow(archs, len(archs), "subnets exported"):
        real = calibration.at(arch.image_size)[: config.export.calibration_images]
        trained.append(export_int8(preparation.subnet(arch), real))
    kinds = {"uniform": ProbeWriter(space), "normal": TrainedLikeWriter(space)}
    for name, npu in NPUS.items():
        truth = estimates([lambda content=content: content for content in trained], npu, f"exported, {name}")
        for kind, writer in kinds.items():
            probes = estimates([lambda a=a, w=writer: w.write(a) for a in archs], npu, f"{kind} probes, {name}")
            slower = [100 * (ms / real[0] - 1) for (ms, _), real in zip(probes, truth, strict=True)]
            larger = [100 * (size / real[1] - 1) for (_, size), real in zip(probes, truth, strict=True)]
            order = np.corrcoef([ms for ms, _ in probes], [real[0] for real in truth])[0, 1]
            print(
                f"{name}, {kind} weights, {len(archs)} subnets: estimated latency {spread(slower)} against trained "
                f"weights, correlation {order:.5f}; encoded weights {spread(larger)}",
                flush=True,
            )


def cpu_ms(content: bytes, runs: int) -> float:
    """Return the least CPU time of an inference, of a few, on the runtime's own kernels and one thread."""
    interpreter = Interpreter(
        model_content=content, num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    taken = []
    for _ in range(runs + 1):
        began = time.process_time()
        interpreter.invoke()
        taken.append(time.process_time() - began)
    return 1000 * min(taken[1:])


def latencies(
    spaces: Mapping[str, SearchSpace], archs: Mapping[str, Sequence[Arch]], runs: int
) -> dict[tuple[str, str], np.ndarray]:
    """Return milliseconds by device and space."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for name, space in spaces.items():
        writer = TrainedLikeWriter(space)
        for device, npu in NPUS.items():
            seen = estimates([lambda a=a, w=writer: w.write(a) for a in archs[name]], npu, f"{name} on {device}")
            found[device, name] = np.array([ms for ms, _ in seen])
        timed = [cpu_ms(writer.write(a), runs) for a in follow(archs[name], len(archs[name]), f"{name} on {CPU}")]
        found[CPU, name] = np.array(timed)
    return found


def spanning(space: SearchSpace, size: int, count: int, rng: np.random.Generator) -> list[Arch]:
    """Return random subnets whose units are the smallest of the space more and more rarely, then the largest."""
    ends, found = (space.smallest(size), space.largest(size)), []
    for share in np.linspace(-1, 1, count):
        drawn, end = space.draw(size, rng), ends[int(share > 0)]
        units = tuple(e if rng.random() < abs(share) else u for e, u in zip(end.units, drawn.units, strict=True))
        found.append(Arch(size, units))
    return found


def pairs_of(both: Mapping[str, SearchSpace], size: int, count: int, within: float = 0.02) -> list[tuple[Arch, Arch]]:
    """Return pairs of a cpu and a tpu subnet of nearly as many parameters, each subnet in one pair, closest first."""
    rng = np.random.default_rng([17, size])
    pools = {name: spanning(space, size, 300, rng) for name, space in both.items()}
    parameters = {n: np.array([costs_of(both[n], a).parameters for a in pool]) for n, pool in pools.items()}
    gaps = np.abs(parameters["cpu"][:, None] / parameters["tpu"][None] - 1)
    found: list[tuple[Arch, Arch]] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for place in np.argsort(gaps, axis=None):
        one, other = (int(i) for i in np.unravel_index(place, gaps.shape))
        if gaps[one, other] > within or len(found) == count:
            break
        if one not in used[0] and other not in used[1]:
            found.append((pools["cpu"][one], pools["tpu"][other]))
            used[0].add(one)
            used[1].add(other)
    return found


def spaces(size: int, subnets: int, runs: int, figure: Path) -> None:
    """Print fits, pairs and frontiers of both spaces, and draw them."""
    both = {name: read_space(name) for name in ("cpu", "tpu")}
    archs = {n: list(islice(s.sample(size, np.random.default_rng([7, size])), subnets)) for n, s in both.items()}
    parameters = {n: np.array([costs_of(both[n], a).parameters for a in archs[n]], float) for n in both}
    pairs = pairs_of(both, size, 20)
    found = latencies(both, archs, runs)
    of_pairs = latencies(both, {"cpu": [one for one, _ in pairs], "tpu": [other for _, other in pairs]}, runs)
    devices = [CPU, *NPUS]
    drawn, axes = plt.subplots(1, len(devices), figsize=(15, 4.6), layout="constrained")
    curves: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for device, axis in zip(devices, axes, strict=True):
        for name, space in both.items():
            y = found[device, name]
            for form in ("paper", "layers-shrunk"):
                one = fit(**shape_of("latency", form), space=space, image_size=size, archs=archs[name], y=y,
                          target="latency", unit="ms")  # fmt: skip
                assert one.quality
                print(
                    f"{device}, {name} space, {form} form, {len(y)} subnets: adjusted R2 "
                    f"{one.quality.adjusted_r2:.4f}, held out {one.quality.r2_cv:.4f}",
                    flush=True,
                )
            capacity = fit(**shape_of("latency", "layers-shrunk"), space=space, image_size=size, archs=archs[name],
                           y=parameters[name] / 1e6, target="parameters", unit="millions")  # fmt: skip
            front = frontier(Landscape(space, {size: capacity}, {size: one}))
            ms = np.array([c.latency_ms for c in front.candidates])
            millions = np.array([c.accuracy for c in front.candidates])
            curves[device, name] = ms, millions
            axis.scatter(y, parameters[name] / 1e6, s=9, alpha=0.5, color=COLOURS[name], label=f"{name} space")
            axis.step(ms, millions, where="post", color=COLOURS[name], label="its frontier, predicted")
        ratios = of_pairs[device, "cpu"] / of_pairs[device, "tpu"]
        print(
            f"{device}: of {len(pairs)} pairs of equal parameters the tpu space's subnet is faster in "
            f"{(ratios > 1).sum()}; cpu / tpu latency {np.median(ratios):.2f} (median), {ratios.min():.2f} to "
            f"{ratios.max():.2f}"
        )
        at = np.median(np.concatenate([found[device, name] for name in both]))
        most = {n: c[1][c[0] <= at].max(initial=0.0) for n, c in ((n, curves[device, n]) for n in both)}
        print(f"{device}: within {at:.4g} ms the frontiers reach {most['cpu']:.2f} (cpu) and {most['tpu']:.2f} (tpu) M")
        said = "measured" if device == CPU else "estimated by Vela"
        axis.set(title=device, xlabel=f"latency, ms, {said}", xscale="log")
    axes[0].set_ylabel("parameters, millions")
    axes[0].legend(loc="upper left", fontsize=8)
    drawn.suptitle(f"CPU space against TPU space at {size} px, {subnets} random subnets each", fontsize=11)
    drawn.savefig(figure, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["all", "weights", "spaces"], nargs="?", default="all")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run of the demo")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--subnets", type=int, default=120, help="of each space; a tenth of it for the weights")
    parser.add_argument("--runs", type=int, default=5, help="inferences of which the fastest counts, on this CPU")
    parser.add_argument("--figure", type=Path, default=Path("docs/evidence/ethos-u.png"))
    options = parser.parse_args()
    if options.what != "spaces":
        weights(options.results, max(options.subnets // 6, 10))
    if options.what != "weights":
        spaces(options.size, options.subnets, options.runs, options.figure)


if __name__ == "__main__":
    main()
