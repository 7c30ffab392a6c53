"""Jobs end with the run that started them; the next run waits for them. With real processes, really killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from foxnas.files import orphans

ROOT = Path(__file__).resolve().parents[2]

#: As Snakemake: a thread starts a shell, whose program is a job that works in `.snakemake`'s folder.
RUN = """
import subprocess, sys, threading
from foxnas.files import orphans
orphans.announce_run()
start = lambda: subprocess.call(["bash", "-c", f"{sys.executable} -c '{sys.argv[1]}' | tee log"])
thread = threading.Thread(target=start)
thread.start()
thread.join()
"""

#: A job that says it is at work, and how it was ended.
JOB = """
import signal, sys, time
from foxnas.files import orphans
signal.signal(signal.SIGTERM, signal.default_int_handler)
orphans.PATIENCE_S = 1
%s
try:
    orphans.end_with_the_run()
    print("at work", flush=True)
    while True: time.sleep(0.1)
except KeyboardInterrupt:
    open("ended", "w").write("told")
    %s
"""

#: What the next run asks.
NEXT = "from foxnas.files import orphans; print(orphans.wait_for_jobs(%s))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".snakemake").mkdir()
    return tmp_path


def started(folder: Path, job: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", RUN, job], cwd=folder, env=environment, stdout=subprocess.PIPE,
                            text=True, start_new_session=True)  # fmt: skip


@pytest.fixture
def run(folder: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A run whose job is at work."""
    before, after = getattr(request, "param", ("", ""))
    with started(folder, JOB % (before, after)) as process:
        assert process.stdout
        assert process.stdout.readline() == "at work\n"
        yield process
        for one in session(process):
            one.kill()
        process.kill()


def session(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """What of a run's session is still there."""
    found = []
    for process in psutil.process_iter(["status"]):
        if (
            process.info["status"] != psutil.STATUS_ZOMBIE
            and process.pid != run.pid
            and os.getsid(process.pid) == run.pid
        ):
            found.append(process)
    return found


def free(folder: Path, patience_s: float) -> bool:
    words = [sys.executable, "-c", NEXT % patience_s]
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    return done.stdout == "True\n"


def test_a_job_ends_when_its_run_is_killed(folder: Path, run: subprocess.Popen[str]) -> None:
    assert not free(folder, 0)
    run.kill()
    assert free(folder, 5)
    assert (folder / "ended").read_text() == "told"
    too_late = time.monotonic() + 5
    while session(run) and time.monotonic() < too_late:
        time.sleep(0.05)
    assert not session(run)


@pytest.mark.parametrize("run", [("", "time.sleep(60)")], indirect=True)
def test_a_job_that_does_not_end_is_killed_and_waited_for(folder: Path, run: subprocess.Popen[str]) -> None:
    run.kill()
    assert not free(folder, 0.3)
    assert (folder / "ended").read_text() == "told"
    assert free(folder, 5)


def test_a_job_whose_run_is_gone_before_it_begins_does_not_begin(folder: Path) -> None:
    """As while it still imports."""
    with started(folder, JOB % ('print("imports", flush=True); time.sleep(1)', "")) as process:
        assert process.stdout
        assert process.stdout.readline() == "imports\n"
        process.kill()
        assert process.stdout.read() == ""
    assert (folder / "ended").read_text() == "told"


@pytest.mark.parametrize(
    ("run", "elsewhere"),
    [(('import os; os.environ["FOXNAS_RUN"] = "1 another-boot pid:[1]"', ""), True)],
    indirect=["run"],
)
def test_a_job_of_another_machine_is_left_alone_and_waited_for(
    folder: Path, run: subprocess.Popen[str], elsewhere: bool
) -> None:
    """There, the number of the run's process is somebody else's; the lock holds on shared file systems."""
    run.kill()
    assert not free(folder, 0.5)
    assert session(run)


def test_a_script_started_by_hand_neither_waits_nor_ends(tmp_path: Path) -> None:
    code = "from foxnas.files import orphans; orphans.end_with_the_run(); print(orphans._held)"
    environment = {name: value for name, value in os.environ.items() if name != "FOXNAS_RUN"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "[]\n", done.stderr
    assert free(tmp_path, 0)


def test_a_run_that_is_process_one_has_no_orphans() -> None:
    """As in a container, whose command is Snakemake."""
    assert not orphans._is_an_orphan(1)
    assert not orphans._is_an_orphan(os.getppid())
    with subprocess.Popen(["sleep", "60"]) as other:
        assert orphans._is_an_orphan(other.pid)
        other.kill()
