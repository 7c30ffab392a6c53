"""The checkout and its results: moved, cloned anew, elsewhere, edited; asked of Snakemake itself."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from foxnas.flow import checkout
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ["results/mini/16/shards/subnets/0.csv", "results/mini/supernet.safetensors"]


def cloned(place: Path) -> Path:
    """A fresh clone, as far as these targets need it: every time stamp is new."""
    parts = "Snakefile rules foxnas comparisons workflow config profiles models envs pyproject.toml"
    for part in parts.split():
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(
                ROOT / part, place / part, copy_function=shutil.copyfile, ignore=ignored, dirs_exist_ok=True
            )
        else:
            place.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / part, place / part)
    return place


def snakemake(tree: Path, folder: Path, *words: str) -> str:
    command = ["-m", "snakemake", "--snakefile", str(tree / "Snakefile"), "--directory", str(folder)]
    words = (*command, "--configfile", str(tree / "config" / "tiny.yaml"), "--cores", "1", *TARGETS, *words)
    done = python(words, folder, {**os.environ, "PYTHONPATH": ""}, elsewhere=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def planned(tree: Path, folder: Path) -> set[str]:
    text = snakemake(tree, folder, "--dry-run")
    rules = set(re.findall(r"^([a-z_]+)\s+\d+\s*$", text, re.MULTILINE)) - {"total"}
    assert rules or "Nothing to be done" in text
    return rules


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that holds its own results."""
    tree = cloned(tmp_path_factory.mktemp("inside") / "first")
    snakemake(tree, tree)
    return tree


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkout, and a folder elsewhere with its results."""
    home = tmp_path_factory.mktemp("outside")
    tree, folder = cloned(home / "first"), home / "run"
    folder.mkdir()
    snakemake(tree, folder)
    return tree, folder


def test_in_the_checkout_paths_are_short_and_move_with_it(inside: Path) -> None:
    moved = inside.with_name("second")
    inside.rename(moved)
    try:
        assert planned(moved, moved) == set()
        text = snakemake(moved, moved, "--dry-run", "--printshellcmds", "--forcerun", "take_checkpoint")
        assert "python workflow/scripts/take_checkpoint.py" in text
        assert "--checkpoint models/mini-fashion-mnist.safetensors" in text
        cloned(moved)
        assert planned(moved, moved) == set(), "cloned anew in place"
    finally:
        moved.rename(inside)


def test_results_elsewhere_do_not_mind_where_the_checkout_is(outside: tuple[Path, Path]) -> None:
    tree, folder = outside
    assert planned(tree, folder) == set()
    other = cloned(tree.with_name("second"))
    assert planned(other, folder) == set()
    shutil.rmtree(folder / ".snakemake" / "foxnas")
    assert planned(other, folder) == set(), "lost lists of the code say nothing about the code"


@pytest.mark.parametrize("metadata", [True, False], ids=["metadata", "no metadata"])
def test_an_edit_is_seen_whatever_its_time_stamp(inside: Path, tmp_path: Path, metadata: bool) -> None:
    """Also where Snakemake has lost its metadata: the list of the code is newer than what the old code made."""
    tree = shutil.copytree(inside, tmp_path / "tree", symlinks=True)
    module = tree / "foxnas" / "space" / "sampling.py"
    if not metadata:
        shutil.rmtree(tree / ".snakemake" / "metadata")
        now = time.time()
        for path in (tree / "results").rglob("*"):
            os.utime(path, (now, now))
    module.touch()
    assert planned(tree, tree) == set(), "touched only"
    module.write_text(module.read_text() + "\nEDITED = True\n")
    os.utime(module, (10**9, 10**9))
    assert planned(tree, tree) == {"sample_subnets"}


def test_a_link_that_leads_astray_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(checkout.seen(ROOT / "Snakefile"))
    assert path.read_text() == (ROOT / "Snakefile").read_text()
    link = checkout.OURS / "checkout"
    link.unlink()
    link.symlink_to(tmp_path)
    assert Path(checkout.seen(ROOT / "Snakefile")).exists()
    assert [p.name for p in checkout.OURS.iterdir()] == ["checkout"]
