"""`benchmarks.gpu`, small and on the CPU, where nothing is installed but what the machine with the GPU has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_comparison, gpu_evaluation, gpu_latency, gpu_training
from benchmarks.gpu import run, targets_of
from benchmarks.gpu_settings import NAMES, SMALL, SPACES, from_plain, space_of
from foxnas.space.config import read_space
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[1]

#: Finds, in every Python that is started with it on its path, nothing but what is allowed and the standard library.
BARE = """
import sys
from importlib.machinery import PathFinder

#: torch, numpy, safetensors and Pillow with what torch itself needs or takes where it is installed; ours.
ALLOWED = set(
    "torch torchgen functorch numpy safetensors PIL filelock typing_extensions sympy mpmath networkx jinja2 markupsafe "
    "fsspec setuptools triton nvidia cuda optree foxnas benchmarks sitecustomize usercustomize _distutils_hack".split()
)


class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        allowed = top in ALLOWED or top in sys.stdlib_module_names or top.startswith(("__", "_sysconfigdata"))
        return super().find_spec(name, path, target) if allowed else None


sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Environment variables with which Python finds torch, numpy, safetensors and Pillow alone."""
    (tmp_path / "sitecustomize.py").write_text(BARE)
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def test_what_is_not_there_is_refused(bare: dict[str, str]) -> None:
    for name in ("pandas", "pydantic", "statsmodels", "scipy", "yaml", "torchvision"):
        done = subprocess.run([sys.executable, "-c", f"import {name}"], env=bare, capture_output=True, check=False)
        assert b"ModuleNotFoundError" in done.stderr


def test_all_of_it_runs_on_a_cpu_with_four_packages(bare: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    found = json.loads(done.stdout)
    assert json.loads(out.read_text()) == found
    assert found["failed"] == []
    trainings = found["training"]["trainings"]
    assert set(trainings) == {f"{space} {precision}" for space in ("mini", "cpu") for precision in ("fp32", "bf16")}
    # Cut in the second phase, in the middle of the third epoch of six steps.
    assert (trainings["mini fp32"]["steps"], trainings["mini fp32"]["continued_at_step"]) == (24, 12)
    assert trainings["mini fp32"]["continues_bit_for_bit"]
    assert trainings["mini bf16"]["weights_sha256"] == trainings["mini fp32"]["weights_sha256"], (
        "processors: always fp32"
    )
    assert found["training"]["torchrun"]["equals_one_process_bit_for_bit"]
    # The CPU against itself: each subnet shares its beginning with others, and is compared with one that does not.
    for one in found["evaluation"]["agreement"]:
        assert one["classes_that_differ_outside_ties"] == one["largest_difference_of_statistics"] == 0
        assert one["largest_difference_of_probabilities"] == 0
    speed = found["evaluation"]["throughput"]
    assert set(speed["ours_by_subnets_together"]) == {"1", "2", "4"}
    assert set(speed["ours_over_bare_by_precision"]) == {"bf16"}
    assert found["comparison"]["not_compared"] == "No module named 'ofa'"
    for one, probes in zip(found["latency"]["spaces"].values(), (16, 12), strict=True):
        assert one["usable"] <= one["probes"] == probes
        assert one["repeatability"]["probes"] == 12
        assert one["executor"] == "cpu"
        assert len(one["sessions"]) == 2
        assert one["layers"]["adjusted_r2"] <= 1
        measured, fitted, held_out = zip(*one["layers"]["figure_7"]["rows"], strict=True)
        assert len(measured) == len(fitted) == len(held_out) == probes
        assert min(measured) > 0


def test_without_a_gpu_it_says_so() -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = python(["-m", "benchmarks.gpu", "--device", "cuda", "--small"], ROOT, environment, jobs=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("PyTorch can use no GPU here")


def test_a_section_that_raises_is_told_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> dict[str, object]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(gpu_training, "section", broken)
    monkeypatch.setattr(gpu_evaluation, "section", lambda *_: {"failed": ["a class differs"]})
    monkeypatch.setattr(gpu_comparison, "section", lambda *_: {"failed": []})
    monkeypatch.setattr(gpu_latency, "section", lambda *_: {"spaces": {}, "failed": []})
    found = run("cpu", small=True)
    assert found["failed"] == ["training: RuntimeError: out of memory", "evaluation: a class differs"]
    assert found["latency"]["spaces"] == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_spaces_in_json_are_the_shipped_ones(name: str) -> None:
    space = read_space(name)
    assert from_plain(json.loads(SPACES.read_text())[name]) == space
    small = space_of(name, 32)
    assert (small.image_sizes, small.units) == ((32,), space.units)


def test_targets_are_told_as_met_or_missed() -> None:
    found = {
        "evaluation": {"throughput": {"ours_over_bare": 0.9}},
        "comparison": {"ours_over_theirs": [1.5, 1.7, 2.5]},
        "latency": {
            "spaces": {
                "cpu": {"repeatability": {"median_difference_percent": 0.4}, "layers": {"held_out_r2": 0.95}},
                "tpu": {"repeatability": {"median_difference_percent": 1.2}, "layers": {"held_out_r2": 0.5}},
            }
        },
    }
    assert [one["met"] for one in targets_of(found)] == [True, False, True, True, False, False]
    found["comparison"] = {"not_compared": "No module named 'ofa'"}
    assert len(targets_of(found)) == 5
    assert targets_of({"evaluation": {}, "comparison": {}, "latency": {}}) == []


def test_both_evaluations_of_the_comparison_are_timed() -> None:
    found = gpu_comparison.section(SMALL, "cpu")
    assert found["failed"] == []
    for ratio in ("ours_over_theirs_calibration", "ours_over_theirs_evaluation", "ours_over_theirs"):
        assert len(found[ratio]) == SMALL.comparison.pairs
        assert min(found[ratio]) > 0
