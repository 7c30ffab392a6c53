"""config/imagenet.yaml: it plans without data, and a slice of it runs at full width and 224 px and more.

The slice is the scenario's own config with two image sizes, few classes and few images (synthetic ones, laid out as
ImageNet's), and random weights: the rules that list, split and decode; the scripts that sample, evaluate and export.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize

from foxnas.config.whole import Config, load_config
from foxnas.files.tables import read_json, read_table, write_table
from foxnas.flow import params as flow
from foxnas.images.folders import read_files
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_summary
from foxnas.int8.serving import Int8Model
from foxnas.settings.section import canonical
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.model import Supernet
from tests.support.configs import written_out
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "config" / "imagenet.yaml"
SIZES = (224, 256)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def snakemake(folder: Path, config: Path, *words: str) -> str:
    command = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
    done = python([*command, "--directory", str(folder), "--cores", "2", *words], ROOT, ENVIRONMENT, jobs=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


def script(name: str, folder: Path, settings: dict[str, Any], *words: str) -> None:
    command = [str(ROOT / "workflow" / "scripts" / f"{name}.py"), "--settings", canonical(settings)]
    done = python([*command, *words], folder, ENVIRONMENT, jobs=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_scenario_plans_all_it_does_without_any_data(tmp_path: Path) -> None:
    text = snakemake(tmp_path, SCENARIO, "--dry-run")
    counts = dict(line.split() for line in text.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert counts["resize_images"] == "7"
    assert counts["evaluate_subnets"] == "21"
    assert not (tmp_path / "results").exists()


@pytest.fixture(scope="module")
def config() -> Config:
    raw = written_out("imagenet")
    raw["space"] |= {"image_sizes": list(SIZES), "classes": 4}
    raw["data"] |= {"corrupt_images": "skip", "splits": {"train": 40, "fit": 12, "verify": 8, "test": 11}}
    raw["accuracy"] |= {"recalibration_images": 16, "batch_size": 8}
    raw["export"]["calibration_images"] = 8
    raw["supernet"]["gpus"] = 0
    raw["supernet"]["training"] |= {"batch_size": 8, "batch_parts": 1}
    return load_config(raw, "the slice")


@pytest.fixture(scope="module")
def run(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slice's images, prepared by the workflow, and a supernet with random weights."""
    folder = tmp_path_factory.mktemp("slice")
    rng = np.random.default_rng(0)
    for part, images in (("train", 12), ("val", 8)):
        for label in range(4):
            place = folder / "imagenet" / part / f"n0{label}"
            place.mkdir(parents=True)
            for i in range(images):
                seeds = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
                seeds.resize((500, 375) if i % 2 else (333, 500)).save(place / f"{part}_{label}{i:05}.JPEG")
    damaged = folder / "imagenet" / "val" / "n02" / "val_200003.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    (folder / "slice.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    wanted = [f"results/data/{size}/{split}-images.npy" for size in SIZES for split in ("fit", "test")]
    snakemake(folder, folder / "slice.yaml", *wanted)
    torch.manual_seed(0)
    save_supernet(Supernet(config.space), folder / "supernet.safetensors", {})
    return folder


def test_its_images_are_prepared_as_torchvision_would(run: Path) -> None:
    data = run / "results" / "data"
    skipped = read_json(data / "splits.json")["splits"]["skipped"]
    assert set(skipped) == {"val/n02/val_200003.JPEG"}
    reference = dict(ImageFolder(str(run / "imagenet" / "val")).samples)
    for split, n in (("fit", 12), ("verify", 8), ("test", 11)):
        files = read_files(data / "native" / f"{split}-images.csv", run / "imagenet")
        assert [reference[file.path] for file in files] == np.load(data / "native" / f"{split}-labels.npy").tolist()
        for size, shorter in ((224, 256), (256, 293)):
            images = np.load(data / str(size) / f"{split}-images.npy", mmap_mode="r")
            view = Compose([Resize(shorter), CenterCrop(size)])
            expected = np.stack([np.asarray(view(Image.open(file.path).convert("RGB"))) for file in files])
            assert images.shape == (n, size, size, 3)
            assert (images == expected).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_few_of_its_subnets_are_sampled_and_evaluated(run: Path, config: Config, size: int) -> None:
    leaves = {"space": config.space, "sample": {"seed": 0, "design": "uniform"}}
    subnets = f"subnets-{size}.csv"
    script(
        "sample_subnets", run, leaves,
        "--count", "3", "--image-size", str(size), "--shard", "0", "--subnets", subnets,
    )  # fmt: skip
    folder = f"results/data/{size}"
    script(
        "evaluate_subnets", run, {**leaves, "accuracy": flow.evaluation(config)},
        "--supernet", "supernet.safetensors", "--subnets", subnets,
        "--calibration", f"{folder}/calibration-images.npy", "--images", f"{folder}/fit-images.npy",
        "--labels", "results/data/native/fit-labels.npy", "--threads", "1", "--device", "cpu",
        "--journal", f"accuracy-{size}.jsonl", "--table", f"accuracy-{size}.csv", "--outcomes", f"accuracy-{size}.npz",
    )  # fmt: skip
    table = read_table(run / f"accuracy-{size}.csv")
    assert list(table["images"]) == [12] * 3
    assert table["correct_probability_percent"].between(0, 100, inclusive="neither").all()


def test_one_is_probed_and_exported(run: Path, config: Config) -> None:
    space = config.space
    arch = space.smallest(224)
    write_table(
        run / "candidates.csv", pd.DataFrame([{"id": arch.id, "arch": arch.text, "source": "test"}]), {"by": "a test"}
    )
    folder = "results/data/224"
    script(
        "export_candidates", run,
        {
            "space": config.space, "accuracy": flow.preparation(config), "export": config.export, "xnnpack": True,
            "dataset": config.data.dataset,
        },
        "--supernet", "supernet.safetensors", "--candidates", "candidates.csv",
        "--calibration", f"{folder}/calibration-images.npy", "--images", f"{folder}/verify-images.npy",
        "--labels", "results/data/native/verify-labels.npy", "--threads", "1",
        "--models", "models", "--table", "exported.csv",
    )  # fmt: skip
    content = (run / "models" / f"{arch.id}.tflite").read_bytes()
    assert read_summary(ProbeWriter(space).write(arch)).operators == read_summary(content).operators
    assert Int8Model(content).image_shape == (224, 224, 3)
