"""Measure the accuracy of subnets: a shard of one image size, or candidates of several."""

import hashlib
import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch

from foxnas import cli
from foxnas.accuracy.config import EvaluationConfig
from foxnas.accuracy.evaluation import measure, outcome_of
from foxnas.accuracy.hardware import Hardware
from foxnas.accuracy.outcomes import COLUMNS, EVALUATED, Outcome, write_outcomes
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize, array_seal, load_array
from foxnas.files.journal import Journal, as_text
from foxnas.files.progress import follow
from foxnas.files.tables import read_table, write_table
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: EvaluationConfig,
    sample: SampleConfig,
    supernet: Path,
    subnets: Path,
    calibration: list[Path],
    images: list[Path],
    labels: Path,
    threads: int,
    device: str,
    journal: Path,
    table: Path,
    outcomes: Path,
) -> None:
    """Write top-1 and mean probability per subnet, and which images each got right as packed bits.

    What an interrupted job has measured is in the journal, and taken from there.
    """
    torch.set_num_threads(threads)
    chosen = read_table(subnets, ["id", "arch"])
    hardware = Hardware.choose(device, accuracy.precision)
    recalibration, batch_size = accuracy.recalibration_images, accuracy.batch_size
    preparation = Preparation(
        load_supernet(space, supernet), ArraysBySize(calibration), recalibration, batch_size, hardware
    )
    pixels, truth = ArraysBySize(images), load_array(labels)
    made_by |= {"precision": hardware.precision, "device": hardware.name}
    key = {
        "code": made_by["code"],
        "settings": made_by["settings_sha256"],
        "torch": torch.__version__,
        "threads": str(threads),
        "supernet": hashlib.sha256(supernet.read_bytes()).hexdigest()[:16],
        "images": hashlib.sha256("".join(map(array_seal, [*calibration, *images, labels])).encode()).hexdigest()[:16],
    }
    started = as_text(datetime.now(UTC))
    with Journal(journal, key) as book:
        known = {record["id"]: Outcome.from_record(record) for record in book.records}
        todo = [(space.parse(str(row.arch)), row.id) for row in chosen.itertuples() if row.id not in known]
        logging.info("%d of %d subnets are in the journal", len(chosen) - len(todo), len(chosen))
        # Those that begin alike are evaluated as neighbours, which share what they begin with.
        todo.sort(key=lambda one: (one[0].image_size, one[0].units))
        archs, names = [arch for arch, _ in todo], [name for _, name in todo]
        measured = measure(preparation, archs, pixels, truth, batch_size, hardware)
        for name, seen in follow(zip(names, measured, strict=True), len(todo), "subnets"):
            known[name] = outcome_of(seen, hardware)
            book.append({"id": name, "started": started, **known[name].to_record()})
        for session, count in Counter({one["id"]: one["started"] for one in book.records}.values()).items():
            logging.info(EVALUATED, count, session)
    scored = [known[name] for name in chosen["id"]]
    write_outcomes(outcomes, list(chosen["id"]), scored)
    rows = [{"id": r.id, "arch": r.arch, **known[r.id].row()} for r in chosen.itertuples()]
    write_table(table, pd.DataFrame(rows, columns=COLUMNS), made_by)


if __name__ == "__main__":
    cli.run(main)
