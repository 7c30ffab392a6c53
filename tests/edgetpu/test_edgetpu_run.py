"""The Coral scenario from sampling to verdict, in a tiny slice, on a host without compiler and stick.

The rules, scripts, transport, runner, tables and decisions are the real ones. `tests/fake_edgetpu_compiler` compiles
and `tests/fake_pycoral` runs what it wrote, on this machine's XNNPACK; the weights are random, and so are the images.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from foxnas.files.tables import read_json, read_table
from foxnas.space.config import complete
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import save_supernet
from foxnas.supernet.model import Supernet
from tests.support.configs import written_out
from tests.support.forked_python import python
from tests.support.journals import reinstate

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).resolve().parents[1] / "support"

#: About the median of the slice's models.
LARGEST_BYTES = 90_000


def coral_slice(folder: Path) -> dict[str, Any]:
    """config/coral.yaml with one image size, two units, few images, and its device on this machine."""
    raw: dict[str, Any] = written_out("coral")
    raw["space"] |= {"image_sizes": [16], "units": raw["space"]["units"][1:3], "expansion_ratios": [4, 6]}
    splits = {"train": 200, "fit": 100, "verify": 100, "test": 100}
    raw["data"] |= {"folder": str(folder / "data"), "scene": None, "splits": splits}
    raw["supernet"] |= {"source": "checkpoint", "checkpoint": str(folder / "supernet.safetensors")}
    raw["sampling"]["subnets"] = 60
    raw["accuracy"] |= {"recalibration_images": 64, "batch_size": 100}
    (device,) = raw["devices"]
    device |= {"ssh": None, "max_model_bytes": LARGEST_BYTES}
    device["compiler"]["executable"] = str(FAKES / "fake_edgetpu_compiler")
    device["protocol"] |= {"min_time_ms": 1, "min_runs": 5, "max_disagreement": 10.0, "max_relative_mad": 10.0}
    device["protocol"] |= {"max_drift": 10.0, "max_preempted": 1.0, "max_attempts": 2}
    raw["budgets"] = ["p90"]
    raw["search"] |= {"reserves_percent": [3, 30], "candidates": 1, "incumbents": 2}
    raw["refinement"] |= {"rounds": 1, "twists": 0}
    raw["verification"] |= {"sessions": 3, "spread_s": 0.0, "margin_percent": 0}
    raw["export"]["calibration_images"] = 16
    raw["validation"] |= {"sessions": 3, "most_sessions": 12, "spread_s": 0.0, "max_drop_percent": 100.0}
    return raw


def space_of(raw: dict[str, Any]) -> SearchSpace:
    return SearchSpace.from_record(complete(raw["space"]))


def write_images(folder: Path, rng: np.random.Generator) -> None:
    """Fashion-MNIST's four files with coarse noise in them."""
    folder.mkdir()
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images = rng.integers(0, 256, (count, 4, 4), np.uint8).repeat(7, 1).repeat(7, 2)
        labels = rng.integers(0, 10, count, np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in which the compiler failed on one model in nine."""
    folder = tmp_path_factory.mktemp("coral")
    write_images(folder / "data", np.random.default_rng(0))
    raw = coral_slice(folder)
    torch.manual_seed(0)
    save_supernet(Supernet(space_of(raw)), folder / "supernet.safetensors", {})
    (folder / "coral.yaml").write_text(yaml.safe_dump(raw))
    deployed = "results/coral-mini/deploy/coral/p90"
    done = snakemake(folder, f"{deployed}/validation.json", f"{deployed}/model_edgetpu.tflite")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return folder


def snakemake(folder: Path, *words: str, config: str = "coral.yaml") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(FAKES / "fake_pycoral"), str(ROOT)])
    fakes = {"PYTHONPATH": path, "FAKE_EDGETPU_FAIL": "large", "FAKE_EDGETPU_FAIL_EVERY": "9"}
    command = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(folder / config), "--directory", str(folder), *words]
    return python(command, ROOT, {**os.environ, **fakes}, jobs=True)


def test_every_probe_is_a_row_and_those_that_were_not_compiled_say_why(run: Path) -> None:
    size = run / "results" / "coral-mini" / "16"
    compiled = read_table(size / "shards" / "compiled-coral" / "0.csv")
    latency = read_table(size / "shards" / "latency-coral" / "0.csv")
    lost = compiled["status"] == "failed"
    assert 3 < lost.sum() < 25
    assert compiled["reason"][lost].str.contains("large activation tensors").all()
    assert list(latency["id"]) == list(compiled["id"])
    assert not latency["usable"][lost].any()
    assert latency["reason"][lost].str.startswith("not compiled for the Edge TPU, failed").all()
    assert (latency["latency_ms"][~lost] > 0).all()
    assert latency["latency_ms"][lost].isna().all()
    assert (latency["on_chip_used_bytes"][~lost] > 0).all()
    assert (latency["streamed_bytes"][~lost] == 0).all()


def test_the_fit_leaves_them_out_and_counts_them(run: Path) -> None:
    size = run / "results" / "coral-mini" / "16"
    flagged = (~read_table(size / "latency-coral.csv")["usable"]).sum()
    assert flagged > 0
    assert read_json(size / "predictors" / "latency-coral-fits.json")["flagged"] == flagged


def test_the_compiled_winner_lies_beside_the_model_and_the_verdict_describes_it(run: Path) -> None:
    deployed = run / "results" / "coral-mini" / "deploy" / "coral" / "p90"
    verdict = read_json(deployed / "validation.json")
    assert verdict["compiled"]["status"] == "compiled"
    assert verdict["compiled"]["operators_cpu"] == 0
    assert verdict["compiled"]["streamed_bytes"] == 0
    assert verdict["compiled"]["compiled_bytes"] == len((deployed / "model_edgetpu.tflite").read_bytes())
    seen = read_json(deployed / "accuracy-on-device.json")
    assert seen["model"] == "model_edgetpu.tflite"
    assert (seen["images"], seen["made_by"]["identity"]["backend"]) == (100, "edgetpu")
    # The fake's compiled model is the model itself, and XNNPACK's integers are those of the host's runtime.
    assert verdict["int8_top1_percent"] == seen["top1_percent"]
    assert verdict["lost_images"] - verdict["won_images"] == pytest.approx(verdict["drop_percent"])
    # The compiled reference of the sampling was timed in every session.
    assert len(verdict["reference_medians_ms"]) == len(verdict["session_medians_ms"])
    assert verdict["reference_baseline_ms"] > 0
    assert abs(verdict["host_int8_top1_percent"] - seen["top1_percent"]) <= 5


def test_no_candidate_is_larger_than_the_device_allows(run: Path) -> None:
    results = run / "results" / "coral-mini"
    space = space_of(yaml.safe_load((run / "coral.yaml").read_text()))
    measured = read_table(results / "16" / "latency-coral.csv")["arch"]
    sizes = np.array([costs_of(space, space.parse(text)).int8_bytes for text in measured])
    assert 0.2 < (sizes > LARGEST_BYTES).mean() < 0.8
    exported = read_table(results / "search" / "coral" / "p90" / "round-1" / "exported.csv")
    assert exported["model_bytes"].max() <= LARGEST_BYTES
    assert max(costs_of(space, space.parse(text)).int8_bytes for text in exported["arch"]) <= LARGEST_BYTES


def test_the_same_command_again_compiles_and_times_nothing(run: Path) -> None:
    assert planned(run) == set()


@pytest.mark.parametrize(
    ("path", "value", "rerun", "kept"),
    [
        ("compiler.timeout_s", 60, "compile_probes", "evaluate_subnets"),
        ("protocol.min_runs", 6, "time_compiled", "compile_probes"),
        ("max_model_bytes", 80_000, "search_architectures", "fit_latency"),
    ],
)
def test_a_changed_line_reruns_only_what_depends_on_it(run: Path, path: str, value: int, rerun: str, kept: str) -> None:
    raw = yaml.safe_load((run / "coral.yaml").read_text())
    *sections, key = path.split(".")
    reduce(getitem, sections, raw["devices"][0])[key] = value
    (run / "changed.yaml").write_text(yaml.safe_dump(raw))
    rules = planned(run, "changed.yaml")
    assert rerun in rules
    assert kept not in rules


def planned(folder: Path, config: str = "coral.yaml") -> set[str]:
    """The rules that a dry run would run."""
    done = snakemake(folder, "results/coral-mini/deploy/coral/p90/validation.json", "--dry-run", config=config)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    return set(re.findall(r"^([a-z_]+)\s+\d+\s*$", text, re.MULTILINE)) - {"total"}


def test_an_interrupted_table_is_made_from_the_cache_and_the_journal_and_a_lost_one_timed_anew(run: Path) -> None:
    size = run / "results" / "coral-mini" / "16" / "shards"
    before = (size / "latency-coral" / "0.csv").read_text()

    def again() -> str:
        for table in (size / "compiled-coral" / "0.csv", size / "latency-coral" / "0.csv"):
            table.unlink()
        done = snakemake(run, "results/coral-mini/16/shards/latency-coral/0.csv")
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return (size / "latency-coral" / "0.csv").read_text()

    assert reinstate(size.parent / "journals" / "latency-coral") == 1
    assert again() == before
    assert again() != before
