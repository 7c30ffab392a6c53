"""Fixtures that several test files share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

# Test files run side by side, one a core: more threads each would only wait for one another, and how many there are
# may order a sum. Read when torch loads.
os.environ["OMP_NUM_THREADS"] = "1"
# A manager of Pythons has a script on PATH for each name, of which a survey starts all: half a second of shells each.
os.environ["PATH"] = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if "shims" not in Path(folder).parts
)

import numpy as np
import pytest

from foxnas.device.local import LocalTransport
from foxnas.device.transport import Device
from foxnas.runner.lock import lock_path
from foxnas.search.landscape import Landscape
from foxnas.space.layers import UnitSpec
from foxnas.space.space import SearchSpace
from tests.support.reporting import (  # noqa: F401 (hooks)
    pytest_collection,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.exports import Exported
    from tests.support.report_run import ReportRun


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the page, or a skip that says what is missing."""
    from tests.support.browser import Missing, chromium

    try:
        with chromium() as browser:
            yield browser
    except Missing as reason:
        pytest.skip(f"no browser: {reason}")


@pytest.fixture(scope="session")
def mini() -> SearchSpace:
    """A space of the demo's kind: the paper's knobs and unit types at an eighth of its sizes."""
    widths, strides, types = (4, 6, 8, 12, 16), (2, 1, 2, 1, 1), (2, 1, 2, 1, 1)
    return SearchSpace(
        name="mini",
        image_sizes=(16, 20, 24, 28, 32, 36, 40),
        kernel_sizes=(3, 5, 7),
        expansion_ratios=(2, 3, 4, 6),
        depths=(2, 3, 4),
        stem_width=4,
        stem_stride=2,
        units=tuple(UnitSpec(*unit) for unit in zip(widths, strides, types, strict=True)),
        head_width=32,
        image_channels=1,
        classes=10,
    )


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once for all files, whichever worker runs them: they take copies."""
    shared = shared_folder(factory)
    folder, whole = shared / name, shared / f"{name}.whole"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run on real images, measured on this machine, and then the comparisons that one asks for."""
    from tests.support.dag import ASKED_FOR
    from tests.support.tiny_run import snakemake

    def make(folder: Path) -> None:
        text = snakemake(folder)
        (folder / "asked-for.txt").write_text(snakemake(folder, *ASKED_FOR))
        (folder / "terminal.txt").write_text(text)

    return once(tmp_path_factory, "tiny-run", make)


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    """A finished run for the report."""
    from tests.support.report_run import ReportRun, make_run

    def make(folder: Path) -> None:
        run = make_run(folder / "results")
        (folder / "run.json").write_text(json.dumps({**asdict(run), "results": str(run.results)}))

    record = json.loads((once(tmp_path_factory, "made-up-run", make) / "run.json").read_text())
    return ReportRun(**{**record, "results": Path(record["results"])})


@pytest.fixture(scope="module")
def run(made_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of the file's own."""
    return Path(shutil.copytree(made_once, tmp_path_factory.mktemp("run") / "run", symlinks=True))


@pytest.fixture
def own_lock() -> Iterator[str]:
    """A lock's name that nobody else has, so that tests and real measurements do not wait for each other."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    lock_path(name).unlink(missing_ok=True)


@pytest.fixture
def here(own_lock: str) -> Device:
    """This machine, really, under a lock of its own."""
    return Device("bench", LocalTransport(), lock=own_lock, timeout_s=20)


@pytest.fixture(scope="session")
def exported(mini: SearchSpace) -> Callable[..., Exported]:
    """Exports of the small space's subnets, by case and exporter (TensorFlow's, if none is named); made once."""
    from tests.support.exports import exported_case

    return cache(partial(exported_case, mini))


@pytest.fixture(scope="session")
def published() -> Landscape:
    """The paper's CPU space with the authors' published predictors."""
    from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

    return Landscape(CPU_SPACE, {192: PUBLISHED_ACCURACY}, {192: PUBLISHED_LATENCY})


@pytest.fixture(scope="session")
def costs() -> dict[str, np.ndarray]:
    """Costs of every architecture of the small space, in the order of `small_problem.everything`."""
    from tests.support.small_problem import costs_of_all

    return costs_of_all()
