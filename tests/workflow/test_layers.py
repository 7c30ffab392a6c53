"""The layers of a config in real runs: our Snakefile, the one it is deployed by, and as a module of another."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from foxnas.config.whole import load_config, read_config
from tests.support.configs import FOLDER
from tests.support.examples import ROOT, run

SUBNETS = "results/mini/16/shards/subnets/0.csv"
MINE = {
    "space": {"base": "mini", "image_sizes": [16]},
    "data": {"dataset": "fashion-mnist", "splits": {"train": 2000, "fit": 200, "verify": 200, "test": 200}},
    "supernet": {"checkpoint": "models/mini-fashion-mnist.safetensors"},
    "devices": [{"name": "local", "kind": "tflite"}],
    "budgets": ["p50"],
}
MODULE = f"""
module foxnas:
    snakefile: "{ROOT}/Snakefile"
    config: config["ours"]
    prefix: "nas"

use rule * from foxnas as foxnas_*

onstart:
    foxnas.onstart()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the demo in it, as one has who works in the checkout, and a config of one's own."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text((FOLDER / "config.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(MINE))
    return tmp_path


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_a_file_that_is_named_is_laid_over_the_defaults_and_kept(snakefile: str, folder: Path) -> None:
    command = f"snakemake --snakefile {ROOT}/{snakefile} --cores 1 --config 'search={{seed: 3}}' --configfile"
    run(folder, f"{command} mine.yaml --dry-run -- {SUBNETS}")
    assert not (folder / "results").exists()
    run(folder, f"{command} mine.yaml -- {SUBNETS}")
    kept = folder / "results" / "config.yaml"
    assert read_config(kept) == load_config({**MINE, "search": {"seed": 3}}, "expected")
    assert "Nothing to be done" in run(folder, f"{command} results/config.yaml -- {SUBNETS}")


def test_the_demo_is_what_runs_without_a_file(folder: Path) -> None:
    run(folder, f"snakemake --snakefile {ROOT}/Snakefile --cores 1 --config 'search={{seed: 3}}' -- {SUBNETS}")
    expected = yaml.safe_load((FOLDER / "config.yaml").read_text())
    update_config(expected, {"search": {"seed": 3}})
    assert read_config(folder / "results" / "config.yaml") == load_config(expected, "expected")


def test_a_modules_config_is_laid_over_the_defaults(folder: Path) -> None:
    (folder / "umbrella.yaml").write_text(yaml.safe_dump({"ours": MINE}))
    (folder / "Snakefile").write_text(f"configfile: 'umbrella.yaml'\n{MODULE}")
    run(folder, f"snakemake --cores 1 --config 'ours={{search: {{seed: 3}}}}' -- nas/{SUBNETS}")
    assert read_config(folder / "nas/results/config.yaml") == load_config({**MINE, "search": {"seed": 3}}, "expected")
    assert not (folder / "results").exists()
