"""Several supernets that share out the images: a real run, small, up to the accuracies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml

from foxnas.accuracy.outcomes import read_outcomes
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_table
from foxnas.supernet.tensors import read_tensors
from tests.support.configs import written_out
from tests.support.tiny_run import snakemake

SUBNETS, TRAIN, FIT, FOLDS = 100, 200, 42, 2


def test_every_subnet_is_evaluated_by_each_supernet_on_what_it_has_not_seen(run: Path, tmp_path: Path) -> None:
    raw = written_out("tiny")
    raw["space"] |= {"image_sizes": [16]}
    raw["data"]["splits"] = {"train": TRAIN, "fit": FIT, "verify": 50, "test": 50}
    phase = {**raw["supernet"]["training"]["phases"][0], "epochs": 1}
    raw["supernet"] |= {"source": "train", "folds": FOLDS}
    raw["supernet"]["training"] |= {"batch_size": 50, "phases": [phase]}
    raw["accuracy"]["recalibration_images"] = raw["export"]["calibration_images"] = 16
    config = tmp_path / "folds.yaml"
    config.write_text(yaml.safe_dump(raw))
    snakemake(run, "results/mini/16/accuracy.csv", config=config)
    results, data = run / "results" / "mini", run / "results" / "data"
    table = read_table(results / "16" / "accuracy.csv")
    assert list(table["images"]) == [FOLDS * FIT] * SUBNETS
    parts = [read_table(results / "16" / "folds" / str(fold) / "0.csv") for fold in range(FOLDS)]
    expected = np.mean([part["top1_percent"] for part in parts], axis=0)
    np.testing.assert_allclose(table["top1_percent"], expected)
    right = read_outcomes([results / "16" / "shards" / "accuracy" / "0.npz"], list(table["id"]))["top1"]
    np.testing.assert_allclose(100 * right[:, : FOLDS * FIT].mean(axis=1), expected)
    # Each supernet is another, and none has trained with what it evaluates.
    first, second = results / "supernet.safetensors", results / "folds" / "1" / "supernet.safetensors"
    assert not torch.equal(*(read_tensors(path).tensors["stem.weight"] for path in (first, second)))
    for folder in (data / "native", data / "folds" / "1"):
        train, fit = (load_array(folder / f"{part}-images.npy") for part in ("train", "fit"))
        assert (len(train), len(fit)) == (TRAIN, FIT)
        assert not {image.tobytes() for image in train} & {image.tobytes() for image in fit}
