"""How many subnets each sampling design needs: error on held-out subnets against the number measured.

For one image size of a finished run: every seed's sequence of both designs is measured for real, accuracy on the
run's fit images with its supernet, latency on this machine; the regressions are fitted to the first n of each;
the error is that on the run's own 300 uniform subnets, which no fit has seen; their latencies are measured anew. What
has been measured is kept in `--folder`, so an interrupted benchmark continues.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.outcomes import TARGETS
from foxnas.config.whole import Config, read_config
from foxnas.device.building import build_device
from foxnas.device.session import measure_probes
from foxnas.files.progress import follow
from foxnas.images.pixels import to_input
from foxnas.int8.probe import ProbeWriter
from foxnas.predictor.forms import formula_name
from foxnas.space.arch import Arch
from foxnas.space.design_names import DESIGNS, Design
from foxnas.space.pooling import accuracy_and_latency
from foxnas.space.sampling import chosen, subnets
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula
from foxnas.supernet.checkpoint import load_supernet
from tests.support.prepared import prepare_subnet

#: What is uniform in a sequence is drawn out of a common measured sample of this many; what is chosen, all measured.
POOL, LONGEST = 1200, 300
COUNTS = (70, 80, 100, 120, 150, 200, 250, 300)


def sequences(
    space: SearchSpace, size: int, designs: Sequence[Design], seeds: int
) -> dict[tuple[str, int], list[Arch]]:
    """Return every design's subnets for every seed, in order."""
    pool = list(islice(subnets("uniform", space, size, np.random.default_rng([7, size])), POOL))
    found = {}
    for design in designs:
        for seed in range(seeds):
            rng = np.random.default_rng([8, seed])
            first = [] if design == "uniform" else list(chosen(design, space, size, rng))
            rest = [pool[i] for i in np.random.default_rng([8, seed]).permutation(POOL)]
            found[design, seed] = list(dict.fromkeys([*first, *rest]))[:LONGEST]
    return found


def evaluated(config: Config, results: Path, size: int, archs: Sequence[Arch], journal: Path) -> pd.DataFrame:
    """Measure what the journal lacks; return id, arch and accuracies of these subnets, in order."""
    space = config.space
    data = results / "data"
    network = load_supernet(space, results / space.name / "supernet.safetensors")
    images, labels = np.load(data / str(size) / "fit-images.npy"), np.load(data / "native" / "fit-labels.npy")
    calibration = np.load(data / str(size) / "calibration-images.npy")[: config.accuracy.recalibration_images]
    recalibration = to_input(calibration)
    known = set(pd.read_csv(journal)["id"]) if journal.exists() else set()
    todo = [arch for arch in archs if arch.id not in known]
    with journal.open("a", newline="") as file:
        writer = csv.writer(file)
        if not known:
            writer.writerow(["id", "arch", *TARGETS.values()])
        for arch in follow(todo, len(todo), "subnets"):
            subnet = prepare_subnet(network, arch, recalibration, config.accuracy.batch_size)
            scored = evaluate(subnet, images, labels, config.accuracy.batch_size)
            writer.writerow([arch.id, arch.text, scored.top1_percent, scored.mean_probability_percent])
            file.flush()
    return pd.read_csv(journal).set_index("id").loc[[arch.id for arch in archs]].reset_index()


def latencies(config: Config, archs: Sequence[Arch], folder: Path) -> pd.DataFrame:
    """Time what the journals lack, in shards of 100; return id and latency of all usable ones.

    Shards are of all designs and the held-out subnets mixed, so that an hour in which the machine is slower is
    no design's own.
    """
    space = config.space
    device, protocol = build_device(config.devices[0].measured, config.devices[0].access, [])
    writer = ProbeWriter(space)
    tables = []
    mixed = [archs[i] for i in np.random.default_rng(9).permutation(len(archs))]
    for start in range(0, len(mixed), 100):
        shard = mixed[start : start + 100]
        probes = [(arch.id, arch.text, partial(writer.write, arch)) for arch in shard]
        reference = writer.write(space.largest(space.image_sizes[0]))
        journal = folder / f"latency-{shard[0].id}.jsonl"
        tables.append(measure_probes(device, protocol, probes, reference, journal, np.random.default_rng(start))[0])
    joined = pd.concat(tables, ignore_index=True)
    return joined[joined["usable"]][["id", "latency_ms"]]


def errors(
    fits: dict[tuple[str, int], list[Arch]], values: dict[str, float], held_out: tuple[list[Arch], np.ndarray],
    name: str, space: SearchSpace,
) -> Iterator[tuple[str, int, float]]:  # fmt: skip
    """Yield (design, n, root mean squared error on the held-out subnets) of every seed."""
    terms = formula(name, space)

    def matrix(archs: list[Arch]) -> np.ndarray:
        return np.column_stack([np.ones(len(archs)), terms.matrix(archs)])

    truth, outside = held_out[1], matrix(held_out[0])
    for (design, _), archs in fits.items():
        usable = [arch for arch in archs if arch.id in values]
        x, y = matrix(usable), np.array([values[arch.id] for arch in usable])
        for n in COUNTS:
            if len(terms.terms) + 2 <= n <= len(usable):
                coefficients = np.linalg.lstsq(x[:n], y[:n], rcond=None)[0]
                yield design, n, float(np.sqrt(np.mean((outside @ coefficients - truth) ** 2)))


def table(found: list[tuple[str, int, float]], digits: int) -> str:
    """Return median error and quartiles by design and n, and how many uniform subnets give the same median."""
    rows = pd.DataFrame(found, columns=["design", "n", "error"])
    spread = rows.groupby(["design", "n"])["error"].quantile([0.25, 0.5, 0.75]).unstack()
    uniform = spread.loc["uniform"][0.5]
    lines = []
    for design, of_design in spread.groupby(level="design", sort=False):
        for (_, n), (low, middle, high) in zip(of_design.index, of_design.to_numpy(), strict=True):
            line = f"{design:10s} {n:4d}  {middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
            if design != "uniform":
                falling = np.minimum.accumulate(uniform.to_numpy())
                same = float(np.interp(-middle, -falling, uniform.index.to_numpy()))
                beyond = " or more" if middle < falling[-1] else ""
                line += f"  as {same:.0f}{beyond} uniform ones"
            lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--folder", type=Path, default=Path("results/designs"))
    parser.add_argument("--size", type=int)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--designs", nargs="+", default=["uniform", "i-optimal"], choices=DESIGNS)
    parser.add_argument("--only", choices=("accuracy", "latency"), nargs="*", default=["accuracy", "latency"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(options.config)
    space = config.space
    size = options.size or space.image_sizes[0]
    options.folder.mkdir(parents=True, exist_ok=True)
    fits = sequences(space, size, options.designs, options.seeds)
    archs = list({arch.id: arch for sequence in fits.values() for arch in sequence}.values())
    own = options.results / space.name / str(size)
    column = TARGETS["top1"]
    tables = [own / "accuracy.csv"], [own / f"latency-{config.devices[0].name}.csv"]
    run = accuracy_and_latency(*tables, column)
    held = [space.parse(str(text)) for text in run["arch"]]
    print(f"{len(archs)} subnets at {size} px, {options.seeds} seeds, held out: {len(held)}", flush=True)
    if "accuracy" in options.only:
        measured = evaluated(config, options.results, size, archs, options.folder / f"accuracy-{size}.csv")
        values = dict(zip(measured["id"], measured[column], strict=True))
        name = formula_name("accuracy", config.predictors.accuracy_form)
        found = list(errors(fits, values, (held, run[column].to_numpy()), name, space))
        print(f"top-1, formula {name}: root mean squared error in points, median (quartiles)\n{table(found, 3)}")
    if "latency" in options.only:
        timed = latencies(config, list({arch.id: arch for arch in (*archs, *held)}.values()), options.folder)
        values = dict(zip(timed["id"], timed["latency_ms"], strict=True))
        held = [arch for arch in held if arch.id in values]
        truth = np.array([values[arch.id] for arch in held])
        name = formula_name("latency", config.predictors.latency_form)
        found = list(errors(fits, values, (held, truth), name, space))
        print(f"latency, formula {name}: root mean squared error in ms, median (quartiles)\n{table(found, 5)}")


if __name__ == "__main__":
    main()
