"""Killed again and again, at random moments of every job, a run ends with what an uninterrupted one ends with."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from tests.support import intact
from tests.support.cut_runs import Run, command, kill, start, whole, write_config

#: What no timing can change: bytes must be equal, but for the seconds that an evaluation took.
UNTIMED = (
    "data/**/*", "mini/supernet.safetensors", "mini/journals/*", "mini/16/accuracy.csv",
    "mini/16/shards/subnets/*", "mini/16/shards/accuracy/*", "mini/16/journals/accuracy/*",
    "mini/16/predictors/accuracy*.json",
)  # fmt: skip

#: Jobs that are cut more than once: they have journals to continue from, or are long.
AGAIN = ("Training the supernet", "Evaluating shard", "Timing shard", "Exporting")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def uninterrupted(config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run = whole(command(config, folder, cores=1), jobs=True)  # as those that are cut, so that jobs last as long
    assert run.status == 0, run.text[-6000:]
    return folder / "results", run


def test_killed_in_every_job_it_ends_as_if_uninterrupted(
    config: Path, uninterrupted: tuple[Path, Run], tmp_path: Path
) -> None:
    """Every job is killed at a uniformly random moment of the time it took uninterrupted, some of them again."""
    wanted, calm = uninterrupted
    lasted = {label: calm.finished[label] - began for label, began in calm.started.items()}
    to_hit = {label: 3 if label.startswith(AGAIN) else 1 for label in lasted}
    rng = np.random.default_rng(0)
    kills: list[str] = []
    done: set[str] = set()
    while True:
        moments = {label: rng.uniform(0, 0.7) * lasted[label] for label in lasted}
        aimed = ""

        def cut(run: Run, moments: dict[str, float] = moments) -> float | None:
            nonlocal aimed
            running = [label for label in run.started if label not in run.finished and to_hit[label]]
            if not running:
                return None
            aimed = running[0]
            return run.started[aimed] + moments[aimed]

        run = start(command(config, tmp_path, cores=1), jobs=True)  # one job after another, so that none gets away
        was_cut = run.follow(cut)
        if was_cut:
            to_hit[aimed] -= 1
            after_s = time.monotonic() - run.started[aimed]
            kills.append(f"{len(kills) + 1}: {aimed}, after {after_s:.1f} s of {lasted[aimed]:.1f}")
            kill(run)
        story = "\n".join(kills)
        again = done & run.started.keys()
        assert not again, f"{again} had finished before the kill, and ran again; kills:\n{story}\n{run.text}"
        done |= run.finished.keys()
        if not was_cut:
            break
    print(story)
    assert run.status == 0, f"kills:\n{story}\n{run.text[-6000:]}"
    assert len(kills) >= 25, story
    results = tmp_path / "results"
    intact.check_all(results)
    assert intact.files_of(results) == intact.files_of(wanted), story
    equal = {path.relative_to(wanted) for pattern in UNTIMED for path in wanted.glob(pattern) if path.is_file()}
    differing = [str(name) for name in equal if intact.untimed(results / name) != intact.untimed(wanted / name)]
    assert not differing, f"{differing} differ; kills:\n{story}"
    assert not list((tmp_path / ".snakemake" / "incomplete").iterdir())
    assert "Nothing to be done" in whole(command(config, tmp_path), jobs=True).text


def truncated(content: bytes) -> bytes:
    return content[: 2 * len(content) // 3]


def short_of_two_bytes(content: bytes) -> bytes:
    return content[:-2]


def flipped(content: bytes) -> bytes:
    """Another first digit of a number in a text (the last digits of some say nothing), another bit of anything else."""
    try:
        content.decode()
        place = [found.end() for found in re.finditer(rb"[ ,]\d", content[:-120])][-1] - 1
        changed = b"3" if content[place : place + 1] != b"3" else b"4"
    except UnicodeDecodeError:
        # Not in the middle of an archive, where some bytes say again what others have said.
        place = len(content) * 3 // 4 if content.startswith(b"PK") else len(content) // 2
        changed = bytes([content[place] ^ 1])
    return content[:place] + changed + content[place + 1 :]


@pytest.mark.parametrize("damage", [truncated, short_of_two_bytes, flipped], ids=lambda one: one.__name__)
def test_damage_to_any_artefact_is_named_by_its_reader(
    uninterrupted: tuple[Path, Run], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Lines of a journal apart, which are passed over and measured again; texts for people and apps have no digest."""
    wanted, _ = uninterrupted
    copy = tmp_path / "results"
    texts = ("report.html", "config.yaml", "card.md", "labels.txt", "classify.py")
    shutil.copytree(wanted, copy, ignore=shutil.ignore_patterns("logs", "benchmarks", *texts, ".*"))
    kinds = set()
    for path in sorted(filter(Path.is_file, copy.rglob("*"))):
        content = path.read_bytes()
        intact.check(path)
        path.write_bytes(damage(content))
        if path.suffix == ".jsonl":
            with pytest.raises(AssertionError, match=f"{path.name}: .* damaged lines"):
                intact.check(path, len(content.splitlines()))
        else:
            with pytest.raises(FoxnasError, match=rf"{re.escape(str(path))}:? .*run again"):
                intact.check(path)
        path.write_bytes(content)
        kinds.add(path.suffix)
    assert kinds == {".csv", ".json", ".npy", ".npz", ".safetensors", ".tflite", ".jsonl"}
