"""Search by Single-Path NAS: train a superkernel once for every seed under one latency budget."""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from comparisons.strategies.against_random import FOUND_COLUMNS
from comparisons.strategies.single_path import single_path
from foxnas import cli
from foxnas.files.arrays import load_array
from foxnas.files.journal import Journal
from foxnas.files.tables import read_json, write_table
from foxnas.images.config import ViewConfig
from foxnas.images.symmetry import Symmetry
from foxnas.images.train_split import open_images
from foxnas.search.config import SinglePathConfig
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import registry
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FloatArray
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.training.finished import data_seals
from foxnas.supernet.training.processes import join_processes


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    reserve_percent: float,
    alike_layers: bool,
    seeds: int,
    training: SinglePathConfig,
    view: ViewConfig,
    smallest_crop: float,
    symmetry: Symmetry,
    supernet: Path,
    budget: Path,
    accuracy: list[Path],
    latency: list[Path],
    train_images: Path,
    train_labels: Path,
    journal: Path,
    threads: int,
    gpus: int = 0,
    found: Path,
) -> None:
    """Write the subnet of every seed, with what is predicted of it and the seconds that its training took.

    An image size is no part of a kernel: all train at that of the proven optimum. Trainings that an interrupted job has
    finished are in the journal.
    """
    torch.set_num_threads(threads)
    cap_ms = read_json(budget)["budget_ms"] * (1 - reserve_percent / 100)
    landscape = Landscape.load(space, accuracy, latency, alike_layers)
    problem = SearchProblem(landscape, cap_ms)
    size = registry.run("exact", problem, Selection(count=1), np.random.default_rng()).best.arch.image_size

    def latency_ms(archs: Sequence[Arch]) -> FloatArray:
        return landscape.latency[size].predict(archs).mean

    labels = load_array(train_labels)
    images = open_images(train_images, labels, view, threads, smallest_crop)
    key = {
        "code": made_by["code"],
        "settings": made_by["settings_sha256"],
        "data": " ".join(data_seals(train_images, train_labels)),
        "supernet": hashlib.sha256(supernet.read_bytes()).hexdigest()[:16],
        "latency": hashlib.sha256(repr((size, cap_ms, landscape.latency[size])).encode()).hexdigest()[:16],
    }
    with Journal(journal, key) as book, join_processes(gpus) as processes:
        known = {record["seed"]: record for record in book.records}
        for seed in range(seeds):
            if seed in known:
                logging.info("seed %d is in the journal", seed)
                continue
            started = time.perf_counter()
            end = single_path(
                load_supernet(space, supernet), size, cap_ms, latency_ms, images, labels, training.epochs,
                training.batch_size, training.learning_rate, seed, processes.device, symmetry,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            logging.info(
                "seed %d: %s, predicted at %.4g ms of %.4g ms; decided for was %s, with lambda %.3g",
                seed, end.arch.text, end.latency_ms, cap_ms, end.decided.text, end.multiplier,
            )  # fmt: skip
            known[seed] = {"seed": seed, "arch": end.arch.text, "latency_ms": end.latency_ms, "seconds": seconds}
            book.append(known[seed])
    rows = []
    for seed, record in sorted(known.items()):
        arch = space.parse(record["arch"])
        top1 = float(landscape.accuracy[size].predict([arch]).mean[0])
        rows.append(("single-path", seed, arch.id, arch.text, top1, record["latency_ms"], 0, record["seconds"]))
    write_table(found, pd.DataFrame(rows, columns=FOUND_COLUMNS), made_by | {"cap_ms": cap_ms})


if __name__ == "__main__":
    cli.run(main)
