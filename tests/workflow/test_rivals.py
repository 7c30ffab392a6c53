"""Off-the-shelf networks in a finished run: trained, exported, timed beside the deployed model, compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.tables import read_json, read_table
from foxnas.int8.reading import read_metadata
from foxnas.int8.serving import score
from foxnas.space.config import read_space
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.model import Supernet
from tests.support.configs import written_out
from tests.support.tiny_run import ROOT, snakemake

SMALL = str(ROOT / "tests" / "data" / "small-network.yaml")
SIZES = (16, 24)


def test_a_network_is_trained_and_timed_beside_the_deployed_model(run: Path, tmp_path: Path) -> None:
    """At next to no learning rate it is its donor still, which can be evaluated here."""
    torch.manual_seed(0)
    donor = Supernet(read_space(SMALL))
    save_supernet(donor, run / "donor.safetensors", {"donor": "random"})
    raw = written_out("tiny")
    raw["rivals"] |= {
        "networks": [{"name": "small", "space": SMALL, "donor": "donor.safetensors"}],
        "epochs": 1, "learning_rate": 1e-7,
    }  # fmt: skip
    config = tmp_path / "rivals.yaml"
    config.write_text(yaml.safe_dump(raw))
    snakemake(run, config=config)
    data, rivals = run / "results" / "data", run / "results" / "mini" / "rivals"
    table = read_table(rivals / "local" / "rivals.csv").set_index(["model", "image_size"])
    preparation = Preparation(donor, ArraysBySize([data / f"{s}" / "calibration-images.npy" for s in SIZES]), 128, 1024)
    labels = {split: load_array(data / "native" / f"{split}-labels.npy") for split in ("verify", "test")}
    for size in SIZES:
        folder = rivals / "networks" / "small" / str(size)
        images = {split: load_array(data / str(size) / f"{split}-images.npy") for split in labels}
        seen = evaluate(preparation.subnet(donor.space.largest(size)), images["verify"], labels["verify"], 1024)
        assert read_json(folder / "exported.json")["float_verify_top1_percent"] == pytest.approx(
            seen.top1_percent, abs=0.3
        )
        content = (folder / "model.tflite").read_bytes()
        assert read_metadata(content)["arch"] == donor.space.largest(size).text
        row = table.loc[("small", size)]
        for split in labels:
            found = score(content, images[split], labels[split], 1, False).percent["int8_top1_percent"]
            assert row[f"{split}_top1_percent"] == pytest.approx(found, abs=1e-9)
        assert row["weights"] == "pretrained"
        assert row["model_bytes"] == len(content)
    # Ours, as validated, and timed in the same sessions.
    verdict = read_json(run / "results" / "mini" / "deploy" / "local" / "p90" / "validation.json")
    ours = table.loc["ours"].iloc[0]
    assert (ours["budget"], ours["test_top1_percent"]) == ("p90", verdict["int8_top1_percent"])
    timed = read_json(rivals / "local" / "latency.json")
    assert timed["models"].keys() == {"rival small 16", "rival small 24", "budget p90"}
    assert ours["latency_ms"] == np.median(timed["models"]["budget p90"]["session_medians_ms"])
    (against,) = read_json(rivals / "local" / "rivals.json")["against"]
    assert (against["budget"], against["network"]) == ("p90", "small")
    within = [size for size in SIZES if table.loc[("small", size), "latency_ms"] <= verdict["budget_ms"]]
    assert (against["within"] in within) if within else (against["within"] is None and against["remarks"])
    page = (run / "results" / "report.html").read_text()
    assert "Against networks off the shelf" in page
    assert "small at 16 px" in page
    assert "Nothing to be done" in snakemake(run, config=config)
