"""An architecture that somebody names: built as the page's command says, on every kind of device."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foxnas.files.arrays import load_array
from foxnas.files.tables import read_json, read_table
from foxnas.int8.serving import Int8Model
from tests.support.dag import DryRuns
from tests.support.invalidation import BASES
from tests.support.tiny_run import snakemake


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as ready:
        yield ready


def test_the_pages_command_exports_and_measures_it(run: Path) -> None:
    """Of the deployed architecture: the same answers as the deployed file's, and what was predicted of it."""
    html = (run / "results" / "report.html").read_text(encoding="utf-8")
    asked = json.loads(re.findall(r'<script type="application/json">(\{"space".*?)</script>', html)[0])
    deployed = run / "results" / "mini" / "deploy" / "local" / "p90"
    winner = read_json(run / "results" / "mini" / "search" / "local" / "p90" / "winner.json")
    arch = winner["winner"]["arch"]
    program, *words = shlex.split(arch.join(asked["command"]))
    assert program == "snakemake"
    snakemake(run, *words)
    folder = run / Path(words[-1]).parent
    assert folder.name == f"arch-{arch}"
    found, verdict = read_json(folder / "validation.json"), read_json(deployed / "validation.json")
    for name in ("arch", "test_images", "float_top1_percent", "int8_top1_percent", "drop_upper_percent"):
        assert found[name] == verdict[name], name
    np.testing.assert_array_equal(load_array(folder / "answers.npy"), load_array(deployed / "answers.npy"))
    for name in ("accuracy", "latency_ms"):
        assert found["predicted"][name] == pytest.approx(winner["predicted"][name], rel=1e-12)
    assert found["latency_upper_ms"] >= found["latency_median_ms"] > 0
    model = (folder / "model.tflite").read_bytes()
    assert len(model) == found["model_bytes"]
    assert Int8Model(model)
    (row,) = read_table(folder / "exported.csv").to_dict("records")
    assert (row["arch"], row["source"]) == (arch, "named")
    assert "Nothing to be done" in snakemake(run, *words)


@pytest.mark.parametrize(
    ("base", "device", "measured"),
    [
        ("devices", "local", {"time_named"}),
        ("devices", "pi", {"time_named"}),
        ("devices", "coral", {"compile_named", "time_compiled_named"}),
        ("npu", "npu", {"estimate_named"}),
    ],
)
def test_every_kind_of_device_has_the_target(
    base: str, device: str, measured: set[str], dry_runs: DryRuns, tmp_path: Path
) -> None:
    BASES[base].bring(tmp_path)
    arch = "r24_" + "_".join(["k3e2.k5e6"] * 5)
    target = f"results/mini/deploy/{device}/arch-{arch}/validation.json"
    plan = dry_runs.plan(tmp_path, BASES[base].config(), [target])
    named = {job.rule for job in plan.runs if dict(job.wildcards).get("arch") == arch}
    common = {"name_architecture", "export_named", "deploy_named", "validate_named", "judge_named"}
    assert named == common | measured
    other = target.replace("r24", "r17")
    with pytest.raises(RuntimeError, match=r"image size 17 is not one of \[16, 24\]"):
        dry_runs.plan(tmp_path, BASES[base].config(), [other])


@pytest.mark.parametrize("text", ["resnet50", "R24_K3E2", "r24", "r24_k03e2", "r24_k3e2;true", "r24_k3e2_", "$(true)"])
def test_a_text_that_is_no_architecture_is_named(text: str, dry_runs: DryRuns, tmp_path: Path) -> None:
    BASES["devices"].bring(tmp_path)
    target = f"results/mini/deploy/local/arch-{text}/validation.json"
    with pytest.raises(RuntimeError, match=re.escape(f"{text!r} is not an architecture: ")):
        dry_runs.plan(tmp_path, BASES["devices"].config(), [target])
